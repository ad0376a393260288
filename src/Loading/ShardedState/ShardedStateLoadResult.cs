using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What a load of a state has done.</summary>
/// <param name="Files">The paths of the rank's files.</param>
/// <param name="TensorCount">How many tensors of the model were filled, under one name each.</param>
/// <param name="BytesRead">The bytes that were read for them.</param>
/// <param name="IsVerified">Whether each was held against the folder's manifest.</param>
/// <param name="Warnings">What was odd.</param>
/// <param name="Elapsed">How long it took.</param>
public sealed record ShardedStateLoadResult(
    ImmutableArray<string> Files, int TensorCount, long BytesRead, bool IsVerified, ImmutableArray<string> Warnings, TimeSpan Elapsed)
{
    /// <summary>The save that was loaded; null where the folder has no manifests.</summary>
    public string? SaveId { get; init; }
}
