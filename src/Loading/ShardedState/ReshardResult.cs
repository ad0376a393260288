namespace IlgpuLoader.Loading;

/// <summary>What a resharding did (<see cref="StateResharder"/>).</summary>
/// <param name="TensorCount">Parameters and buffers that have their values.</param>
/// <param name="BytesRead">Bytes of saved tensors that were read; what every rank needs of every saved rank is read by each.</param>
public sealed record ReshardResult(int TensorCount, long BytesRead)
{
    /// <summary>Whether each tensor was held against the folder's manifests; false where what was read is none.</summary>
    public bool IsVerified { get; init; }

    /// <summary>The save that was loaded; null where the folder has no manifests, or is none.</summary>
    public string? SaveId { get; init; }
}
