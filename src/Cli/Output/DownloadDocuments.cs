namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>download</c> has brought. <c>bytes</c> are those of all files, <c>fetchedBytes</c> those that were not there before. <c>asked</c> is false offline: the files are what was there, be it all or not.</summary>
internal sealed record DownloadDocument(string Address, string Folder, int Files, long Bytes, long FetchedBytes, double Seconds, bool Asked) : Document("ilgpu-loader/download/1");

/// <summary>What <c>cache ls</c> lists.</summary>
internal sealed record CacheDocument(string Folder, long Bytes, IReadOnlyList<CachedRepository> Repositories) : Document("ilgpu-loader/cache/1");

internal sealed record CachedRepository(string Repository, string Folder, long Bytes, DateTimeOffset? LastUsed, IReadOnlyList<CachedRevision> Revisions);

internal sealed record CachedRevision(string Commit, IReadOnlyList<string> Refs, int Files, long Bytes);

/// <summary>What <c>cache verify</c> has found.</summary>
internal sealed record CacheVerifyDocument(string Folder, int CheckedFiles, long CheckedBytes, int UncheckedFiles, IReadOnlyList<CacheProblem> Problems) : Document("ilgpu-loader/cache-verify/1");

internal sealed record CacheProblem(string Path, string Problem);

/// <summary>What <c>cache prune</c> has removed, or would.</summary>
internal sealed record CachePruneDocument(string Folder, bool DryRun, long Bytes, IReadOnlyList<CacheRemoval> Removed) : Document("ilgpu-loader/cache-prune/1");

internal sealed record CacheRemoval(string Kind, string Path, long Bytes);
