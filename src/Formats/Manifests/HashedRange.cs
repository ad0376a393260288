namespace IlgpuLoader.Formats;

/// <summary>A part of a file whose SHA-256 is known.</summary>
/// <param name="Tensor">The tensor that it is; null for the header.</param>
/// <param name="Offset">Where it begins, in bytes.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="Sha256">What its SHA-256 should be.</param>
internal sealed record HashedRange(string? Tensor, long Offset, long Length, string Sha256);
