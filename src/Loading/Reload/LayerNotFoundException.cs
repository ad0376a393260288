using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A layer was asked for by a name that neither a layer of the model has nor anything in one.</summary>
public sealed class LayerNotFoundException : KeyNotFoundException
{
    /// <summary>Makes one.</summary>
    /// <param name="layer">The name asked for.</param>
    /// <param name="names">The names that there are.</param>
    public LayerNotFoundException(string layer, IEnumerable<string> names)
        : this(layer, TensorNotFoundException.FindNearest(layer, names))
    {
    }

    private LayerNotFoundException(string layer, ImmutableArray<string> nearest)
        : base($"The model has no layer {Quoted.Name(layer)}{(nearest.IsEmpty ? "" : $"; the nearest names are {string.Join(", ", nearest.Select(Quoted.Name))}")}.")
    {
        Layer = layer;
        Nearest = nearest;
    }

    /// <summary>The name asked for.</summary>
    public string Layer { get; }

    /// <summary>Up to three names of layers, modules and tensors that differ least.</summary>
    public ImmutableArray<string> Nearest { get; }
}
