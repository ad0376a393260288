namespace IlgpuLoader.Loading;

/// <summary>Something in a cache of the Hub that can go.</summary>
/// <param name="Kind">Why.</param>
/// <param name="Path">The file, or the folder of the revision.</param>
/// <param name="Bytes">What it takes on the disk; of a revision 0, as its blobs are listed by themselves.</param>
public sealed record HubCacheRemoval(HubCacheRemovalKind Kind, string Path, long Bytes);
