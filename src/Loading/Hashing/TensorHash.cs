using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The hash of one tensor.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Sha256">64 lower-case hexadecimal digits.</param>
public sealed record TensorHash(TensorInfo Tensor, string Sha256);
