using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The hash of one tensor, or why it has none.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Sha256">64 lower-case hexadecimal digits, or null.</param>
/// <param name="Error">Why there is no hash, or null.</param>
public sealed record TensorHash(TensorInfo Tensor, string? Sha256, string? Error);
