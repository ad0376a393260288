namespace IlgpuLoader.Formats;

/// <summary>What a rank's manifest says of one of its files.</summary>
/// <param name="Name">Its base name.</param>
/// <param name="ByteLength">Its size in bytes.</param>
/// <param name="Sha256">The SHA-256 of the whole file: 64 lower-case hexadecimal digits.</param>
/// <param name="HeaderSha256">
/// The SHA-256 of the header alone, where the file is safetensors: its length and its JSON as they are written. What a load reads without the
/// whole file is held against it. Null for files that have none.
/// </param>
public sealed record ManifestFile(string Name, long ByteLength, string Sha256, string? HeaderSha256 = null);
