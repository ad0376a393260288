using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What a comparison of two checkpoints found. Immutable.</summary>
/// <param name="Tensors">Every chosen name: in the order of the first checkpoint, then those that only the second has, in its order.</param>
/// <param name="Metadata">Metadata that differs, which does not make checkpoints different: writers put dates and versions there.</param>
/// <param name="ComparedValues">Whether values were to be compared; without, equal means equal in name, dtype and shape.</param>
public sealed record CheckpointComparison(
    ImmutableArray<TensorComparison> Tensors, ImmutableArray<MetadataDifference> Metadata, bool ComparedValues)
{
    /// <summary>Whether any tensor differs.</summary>
    public bool IsDifferent => Tensors.Any(tensor => tensor.Differences != TensorDifferences.None);

    /// <summary>Whether everything that was to be compared could be.</summary>
    public bool IsComplete => Tensors.All(tensor => tensor.Error is null);
}
