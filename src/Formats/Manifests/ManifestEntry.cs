namespace IlgpuLoader.Formats;

/// <summary>What a manifest says of one tensor.</summary>
/// <param name="DType">The dtype it is stored with.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Sha256">The SHA-256 of its row-major little-endian bytes as stored: 64 lower-case hexadecimal digits.</param>
public sealed record ManifestEntry(DType DType, Shape Shape, string Sha256);
