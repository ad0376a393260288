using System.Text.Json;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What a quantised weight of torchao is made of: the tensors of a tensor subclass, by the names of its fields, and the rest of its fields. Owned by its
/// <see cref="Weight"/>. Not safe for several threads.
/// </summary>
public sealed class WeightComponents : IDisposable
{
    /// <summary>The component that holds the quantised values; every subclass that torchao stores has one of this name.</summary>
    public const string ValuesName = "qdata";

    /// <summary>Makes one.</summary>
    /// <param name="kind">The class, such as <c>Float8Tensor</c>.</param>
    /// <param name="tensors">The tensors by the names of their fields, <see cref="ValuesName"/> among them; they are its own from now on.</param>
    /// <param name="attributes">The other fields, as the file has them.</param>
    /// <exception cref="ArgumentException">There are no values among the tensors.</exception>
    public WeightComponents(string kind, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, JsonElement> attributes)
    {
        ArgumentNullException.ThrowIfNull(kind);
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(attributes);
        if (!tensors.ContainsKey(ValuesName))
        {
            throw new ArgumentException($"A quantised weight has values, which are called {ValuesName}.", nameof(tensors));
        }

        (Kind, Tensors, Attributes) = (kind, tensors, attributes);
    }

    /// <summary>The class, such as <c>Float8Tensor</c>, <c>Int4Tensor</c>, <c>IntxUnpackedToInt8Tensor</c>.</summary>
    public string Kind { get; }

    /// <summary>
    /// The tensors by the names of their fields, as they are stored: <c>qdata</c>, the quantised values, and what they need, such as <c>scale</c> and
    /// <c>zero_point</c>. They stay the weight's.
    /// </summary>
    public IReadOnlyDictionary<string, Tensor> Tensors { get; }

    /// <summary>
    /// The other fields, as the file has them, such as <c>block_size</c>. A value of a class is an object of its <c>_type</c> and its <c>_data</c>
    /// (<c>{"_type": "torch.dtype", "_data": "bfloat16"}</c>); nothing is made of it.
    /// </summary>
    public IReadOnlyDictionary<string, JsonElement> Attributes { get; }

    /// <summary>The quantised values.</summary>
    internal Tensor Values => Tensors[ValuesName];

    /// <summary>Disposes the tensors. Safe to call again.</summary>
    public void Dispose()
    {
        foreach (var tensor in Tensors.Values)
        {
            tensor.Dispose();
        }
    }
}
