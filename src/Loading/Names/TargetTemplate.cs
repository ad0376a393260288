using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>A tensor of the checkpoint for any block.</summary>
/// <param name="Name">The name, with placeholders.</param>
/// <param name="Transform">What makes it; not used where heads are given.</param>
/// <param name="HeadsByBlock">
/// The heads of each block, whose rows are unpermuted; default for the other transforms. 0 for a block without attention, which
/// has no such tensor.
/// </param>
internal sealed record TargetTemplate(string Name, WeightTransform Transform, ImmutableArray<long> HeadsByBlock = default)
{
    /// <summary>The transform for a block, or null where the block has no such tensor.</summary>
    public WeightTransform? TransformOf(int? block) =>
        HeadsByBlock.IsDefault ? Transform
        : block is { } number && HeadsByBlock[number] > 0 ? WeightTransform.Unpermute(HeadsByBlock[number])
        : null;
}
