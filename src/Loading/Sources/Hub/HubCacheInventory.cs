namespace IlgpuLoader.Loading;

/// <summary>What a cache of the Hub holds, as it was when it was read. It can be held against its hashes, and rid of what nobody means any more. Immutable; safe for any thread.</summary>
public sealed class HubCacheInventory
{
    // Each is an open file, of which macOS gives a process 256 unless it asks for more.
    private const int MostLocks = 100;

    private readonly IReadOnlyList<HubCacheFolder> _folders;

    private HubCacheInventory(string folder, IReadOnlyList<HubCacheFolder> folders, IReadOnlyList<HubCacheProblem> problems)
    {
        Folder = folder;
        _folders = folders;
        Repositories = [.. folders.Select(found => found.Repository)];
        Problems = [.. problems, .. folders.SelectMany(found => found.Problems)];
    }

    /// <summary>The cache.</summary>
    public string Folder { get; }

    /// <summary>Its repositories, by name.</summary>
    public IReadOnlyList<HubCachedRepository> Repositories { get; }

    /// <summary>What is not as it should be: folders that are no repositories, links that lead nowhere or out of their repository.</summary>
    public IReadOnlyList<HubCacheProblem> Problems { get; }

    /// <summary>What all repositories take on the disk.</summary>
    public long Bytes => Repositories.Sum(repository => repository.Bytes);

    /// <summary>Reads what is there. No file's content is read but refs.</summary>
    /// <param name="folder">The cache; null for that of the environment. One that is not there is empty.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static Task<HubCacheInventory> ReadAsync(string? folder = null, CancellationToken cancellationToken = default)
    {
        var root = Path.GetFullPath(folder ?? HubSettings.FromEnvironment().CacheFolder);
        return Task.Run(() => Read(root, cancellationToken), cancellationToken);
    }

    /// <summary>Reads all blobs whose names are hashes, and holds them against these.</summary>
    /// <param name="repositories">Of which repositories; null for all.</param>
    /// <param name="progress">Who is told how far it is; nothing is fetched.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public async Task<HubCacheVerification> VerifyAsync(
        IReadOnlyCollection<HubRepository>? repositories = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        HubCacheFolder[] chosen = [.. _folders.Where(folder => repositories?.Contains(folder.Repository.Repository) != false)];
        var blobs = chosen.SelectMany(folder => folder.Blobs).ToLookup(blob => ContentDigest.KindOf(blob.Name) != ContentDigestKind.None);
        var tally = new DownloadTally(progress, TimeProvider.System);
        foreach (var blob in blobs[true])
        {
            tally.Expect(blob.Length);
        }

        tally.Begin();

        var problems = new List<HubCacheProblem>(chosen.SelectMany(folder => folder.Problems));
        var (count, bytes) = (0, 0L);
        foreach (var blob in blobs[true])
        {
            var actual = await ContentDigest.OfFileAsync(blob.FullName, blob.Name, cancellationToken).ConfigureAwait(false);
            if (actual != blob.Name)
            {
                problems.Add(new HubCacheProblem(blob.FullName, $"its content is not what its name says: its hash is {actual}. Remove the file, and download it again."));
            }

            count++;
            bytes += blob.Length;
            tally.AddPresent(blob.Length);
            tally.AddFile();
        }

        var loose = chosen.SelectMany(folder => folder.Repository.Revisions).SelectMany(revision => revision.Files).Count(file => file.Blob is null);
        return new HubCacheVerification(count, bytes, blobs[false].Count() + loose, problems);
    }

    /// <summary>
    /// Removes revisions that no branch or tag means, blobs that no other revision has, and what downloads have left that did not end. What has changed since this was read
    /// stays, and so does what a download is at that holds a lock of the repository. A download by commit that begins while a revision is removed may find its first files gone: run again, it fetches them.
    /// </summary>
    /// <param name="dryRun">Whether it is only said what would go.</param>
    /// <param name="cancellationToken">Ends the work between two files.</param>
    /// <returns>What has gone, or would go.</returns>
    /// <exception cref="IOException">Something cannot be removed.</exception>
    /// <exception cref="UnauthorizedAccessException">Something may not be removed.</exception>
    public Task<IReadOnlyList<HubCacheRemoval>> PruneAsync(bool dryRun = false, CancellationToken cancellationToken = default) =>
        Task.Run<IReadOnlyList<HubCacheRemoval>>(
            () =>
            {
                var removals = new List<HubCacheRemoval>();
                foreach (var folder in _folders)
                {
                    Prune(folder, dryRun, removals, cancellationToken);
                }

                return removals;
            },
            cancellationToken);

    private static HubCacheInventory Read(string root, CancellationToken cancellationToken)
    {
        var folders = new List<HubCacheFolder>();
        var problems = new List<HubCacheProblem>();
        if (Directory.Exists(root))
        {
            foreach (var path in Directory.EnumerateDirectories(root).Order(StringComparer.Ordinal))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (Path.GetFileName(path) == HubCache.LocksFolder)
                {
                    continue;
                }

                if (HubRepository.OfFolder(Path.GetFileName(path)) is { } repository)
                {
                    folders.Add(HubCacheFolder.Read(repository, path, cancellationToken));
                }
                else
                {
                    problems.Add(new HubCacheProblem(path, "this is no folder of a repository (models--organisation--name); it is left alone."));
                }
            }
        }

        return new HubCacheInventory(root, folders, problems);
    }

    private static IEnumerable<string> BlobsOf(HubCachedRevision revision) => revision.Files.Select(file => file.Blob).OfType<string>().Distinct();

    private static bool HasSameFiles(HubCachedRevision one, HubCachedRevision other) =>
        one.Files.Select(file => (file.Path, file.Blob)).SequenceEqual(other.Files.Select(file => (file.Path, file.Blob)));

    private static HashSet<string> LinkedBlobs(HubCacheFolder folder, HashSet<string> gone, CancellationToken cancellationToken) =>
        HubCacheFolder.Read(folder.Repository.Repository, folder.Repository.Folder, cancellationToken).Repository.Revisions
            .Where(revision => !gone.Contains(revision.Commit))
            .SelectMany(BlobsOf)
            .ToHashSet(StringComparer.Ordinal);

    private static void RemoveRevision(string repository, string snapshot, string commit)
    {
        Directory.Delete(snapshot, recursive: true);
        var markers = Path.Combine(repository, ".no_exist", commit);
        if (Directory.Exists(markers))
        {
            Directory.Delete(markers, recursive: true);
        }
    }

    private void Prune(HubCacheFolder folder, bool dryRun, List<HubCacheRemoval> removals, CancellationToken cancellationToken)
    {
        var gone = PruneRevisions(folder, dryRun, removals, cancellationToken);
        var linked = LinkedBlobs(folder, gone, cancellationToken);
        var wanted = folder.Blobs.Where(blob => !linked.Contains(blob.Name)).Select(blob => (File: blob, Tag: blob.Name, Kind: HubCacheRemovalKind.Blob))
            .Concat(folder.Unfinished.Select(file => (File: file, Tag: HubCacheFolder.TagOfUnfinished(file.Name), Kind: HubCacheRemovalKind.Unfinished)));
        foreach (var some in wanted.GroupBy(entry => entry.Tag, StringComparer.Ordinal).Chunk(MostLocks))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var locks = new CacheLocks(Folder, folder.Repository.Repository, dryRun);
            // Whoever downloads or links a blob holds its lock: what is linked is read again when nobody can link any more.
            var free = some.Where(files => locks.TryHold(files.Key)).ToArray();
            linked = LinkedBlobs(folder, gone, cancellationToken);
            foreach (var (file, tag, kind) in free.SelectMany(files => files))
            {
                file.Refresh();
                if (!file.Exists || (kind == HubCacheRemovalKind.Blob && linked.Contains(tag)))
                {
                    continue;
                }

                removals.Add(new HubCacheRemoval(kind, file.FullName, file.Length));
                if (!dryRun)
                {
                    file.Delete();
                }
            }
        }
    }

    // Those that no ref means now, that are as they were, and of whose repository nobody downloads anything: a download by commit has no ref.
    private HashSet<string> PruneRevisions(HubCacheFolder folder, bool dryRun, List<HubCacheRemoval> removals, CancellationToken cancellationToken)
    {
        var gone = new HashSet<string>(StringComparer.Ordinal);
        var now = HubCacheFolder.Read(folder.Repository.Repository, folder.Repository.Folder, cancellationToken).Repository.Revisions.ToDictionary(revision => revision.Commit);
        foreach (var known in folder.Repository.Revisions.Where(revision => revision.Refs.Count == 0))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var locks = new CacheLocks(Folder, folder.Repository.Repository, dryRun);
            if (!now.TryGetValue(known.Commit, out var revision) || revision.Refs.Count > 0 || !HasSameFiles(known, revision) || !BlobsOf(revision).All(locks.TryHold) || locks.IsAnyOtherHeld())
            {
                continue;
            }

            var path = Path.Combine(folder.Repository.Folder, "snapshots", revision.Commit);
            removals.Add(new HubCacheRemoval(HubCacheRemovalKind.Revision, path, revision.Files.Where(file => file.Blob is null).Sum(file => file.Bytes)));
            gone.Add(revision.Commit);
            if (!dryRun)
            {
                RemoveRevision(folder.Repository.Folder, path, revision.Commit);
            }
        }

        return gone;
    }
}
