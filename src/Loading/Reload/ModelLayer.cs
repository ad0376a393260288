using System.Collections.Frozen;
using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// A part of a live model that is reloaded and leased as one: an element of a list of modules (<c>model.layers.0</c>) with all below it, or another module that has tensors of its own.
/// Modules that share storage are one layer. Its tensors have the same memory as long as the model lives; only what is in it changes. Immutable.
/// </summary>
public sealed class ModelLayer
{
    internal ModelLayer(string name, ImmutableArray<string> modules, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        Name = name;
        Modules = modules;
        Tensors = tensors.ToFrozenDictionary(StringComparer.Ordinal);
        ByteLength = Tensors.Values.DistinctBy(tensor => (tensor.Memory, tensor.ByteOffset, tensor.ByteLength)).Sum(tensor => tensor.ByteLength);
    }

    /// <summary>The full name of its first module; empty for the model itself.</summary>
    public string Name { get; }

    /// <summary>The full names of the modules whose tensors it has, in the order of the model.</summary>
    public ImmutableArray<string> Modules { get; }

    /// <summary>The live tensors under each of their full names; they stay the model's.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors { get; }

    /// <summary>The bytes of its tensors; what has several names counts once.</summary>
    public long ByteLength { get; }

    /// <summary>The name.</summary>
    public override string ToString() => Name.Length == 0 ? "model" : Name;
}
