namespace IlgpuLoader.Loading;

/// <summary>What a resharding did (<see cref="StateResharder"/>).</summary>
/// <param name="TensorCount">Parameters and buffers that have their values.</param>
/// <param name="BytesRead">Bytes of saved tensors that were read; what every rank needs of every saved rank is read by each.</param>
public sealed record ReshardResult(int TensorCount, long BytesRead);
