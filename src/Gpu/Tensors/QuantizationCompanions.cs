namespace IlgpuLoader.Gpu;

/// <summary>The tensors beside a stored matrix that say what its numbers stand for (<see cref="QuantizationScheme"/>); they stay their owner's. Immutable.</summary>
/// <param name="Scales">The scales: F32, F16 or BF16.</param>
/// <param name="ZeroPoints">The zero points; null for none.</param>
/// <param name="GroupIndices">GPTQ's <c>g_idx</c>; null for groups in the order of the inputs.</param>
public sealed record QuantizationCompanions(Tensor Scales, Tensor? ZeroPoints = null, Tensor? GroupIndices = null);
