using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The statistics of one tensor.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Values">The statistics.</param>
public sealed record TensorStatistics(TensorInfo Tensor, ValueStatistics Values);
