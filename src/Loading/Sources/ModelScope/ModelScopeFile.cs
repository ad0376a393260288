namespace IlgpuLoader.Loading;

/// <summary>A file of a model of ModelScope, as it is listed.</summary>
/// <param name="Path">Its path, checked.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="Sha256">The SHA-256 of its content in lower-case hexadecimal digits; null where none is said.</param>
internal sealed record ModelScopeFile(string Path, long Length, string? Sha256);
