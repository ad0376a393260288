namespace IlgpuLoader.Loading;

/// <summary>What came of holding a cache of the Hub against its hashes.</summary>
/// <param name="CheckedBlobs">Blobs whose names are hashes, and that were read.</param>
/// <param name="CheckedBytes">Their bytes.</param>
/// <param name="UncheckedFiles">Files whose names say nothing of their content, or that are no blobs.</param>
/// <param name="Problems">What is wrong.</param>
public sealed record HubCacheVerification(int CheckedBlobs, long CheckedBytes, int UncheckedFiles, IReadOnlyList<HubCacheProblem> Problems);
