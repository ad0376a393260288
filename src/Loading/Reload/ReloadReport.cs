using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What a reload did. Immutable.</summary>
public sealed record ReloadReport
{
    /// <summary>All layers of the model, in its order.</summary>
    public required ImmutableArray<ReloadedLayer> Layers { get; init; }

    /// <summary>The weights that go into no parameter.</summary>
    public ImmutableArray<string> Unexpected { get; init; } = [];

    /// <summary>The weights that the model knows and has no use for.</summary>
    public ImmutableArray<SkippedWeight> Skipped { get; init; } = [];

    /// <summary>Bytes of tensors that were read.</summary>
    public long BytesRead { get; init; }

    /// <summary>The time that passed.</summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>Whether every layer has its new weights.</summary>
    public bool IsWhole => Layers.All(layer => layer.Outcome == LayerOutcome.New);

    /// <summary>The names of the layers that have their new weights.</summary>
    public IEnumerable<string> NewLayers => Layers.Where(layer => layer.Outcome == LayerOutcome.New).Select(layer => layer.Layer.Name);
}
