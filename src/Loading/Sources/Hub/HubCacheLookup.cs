namespace IlgpuLoader.Loading;

/// <summary>What a cache knows of a file.</summary>
/// <param name="Path">The file; null where it is not there.</param>
/// <param name="IsKnownMissing">Whether the Hub has said that there is no such file at that commit.</param>
internal readonly record struct HubCacheLookup(string? Path, bool IsKnownMissing);
