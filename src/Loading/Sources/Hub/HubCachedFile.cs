namespace IlgpuLoader.Loading;

/// <summary>A file of a revision in a cache of the Hub.</summary>
/// <param name="Path">Its path in the repository.</param>
/// <param name="Blob">The base name of the blob that it is a link to; null where it is a file of its own.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="LastUsed">When it was read last, as far as the file system remembers.</param>
public sealed record HubCachedFile(string Path, string? Blob, long Bytes, DateTimeOffset LastUsed);
