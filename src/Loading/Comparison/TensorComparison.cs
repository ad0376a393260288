using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>One name in two checkpoints.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Left">The first checkpoint's tensor, or null.</param>
/// <param name="Right">The second checkpoint's tensor, or null.</param>
/// <param name="Differences">In what they differ.</param>
/// <param name="Values">How their values differ; null where values were not compared.</param>
/// <param name="Error">Why values that were to be compared were not, as one sentence, or null.</param>
public sealed record TensorComparison(
    string Name, TensorInfo? Left, TensorInfo? Right, TensorDifferences Differences, ValueComparison? Values, string? Error);
