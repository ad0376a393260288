namespace IlgpuLoader.Loading;

/// <summary>Finite values of a tensor that are beyond the dtype they were converted to, and became infinite or NaN.</summary>
/// <param name="Tensor">The tensor's name.</param>
/// <param name="Values">How many.</param>
public sealed record TensorOverflow(string Tensor, long Values);
