using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The statistics of one tensor, or why it has none.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Values">The statistics, or null.</param>
/// <param name="Error">Why there are none, as one sentence, or null.</param>
public sealed record TensorStatistics(TensorInfo Tensor, ValueStatistics? Values, string? Error);
