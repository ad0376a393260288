namespace IlgpuLoader.Loading;

/// <summary>What a cache of the Hub holds, as it was when it was read. It can be held against its hashes, and rid of what nobody means any more. Immutable; safe for any thread.</summary>
public sealed class HubCacheInventory
{
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
    /// Removes revisions that no branch or tag means, blobs that no other revision has, and what downloads have left that did not end. What somebody downloads at this moment stays.
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

    private void Prune(HubCacheFolder folder, bool dryRun, List<HubCacheRemoval> removals, CancellationToken cancellationToken)
    {
        var kept = new HashSet<string>(StringComparer.Ordinal);
        foreach (var revision in folder.Repository.Revisions)
        {
            if (revision.Refs.Count > 0)
            {
                kept.UnionWith(revision.Files.Select(file => file.Blob).OfType<string>());
                continue;
            }

            cancellationToken.ThrowIfCancellationRequested();
            var path = Path.Combine(folder.Repository.Folder, "snapshots", revision.Commit);
            removals.Add(new HubCacheRemoval(HubCacheRemovalKind.Revision, path, revision.Files.Where(file => file.Blob is null).Sum(file => file.Bytes)));
            if (!dryRun)
            {
                Directory.Delete(path, recursive: true);
                var markers = Path.Combine(folder.Repository.Folder, ".no_exist", revision.Commit);
                if (Directory.Exists(markers))
                {
                    Directory.Delete(markers, recursive: true);
                }
            }
        }

        foreach (var blob in folder.Blobs.Where(blob => !kept.Contains(blob.Name)))
        {
            Remove(blob, blob.Name, HubCacheRemovalKind.Blob);
        }

        foreach (var file in folder.Unfinished)
        {
            Remove(file, HubCacheFolder.TagOfUnfinished(file.Name), HubCacheRemovalKind.Unfinished);
        }

        void Remove(FileInfo file, string tag, HubCacheRemovalKind kind)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var locks = Path.Combine(Folder, HubCache.LocksFolder, folder.Repository.Repository.FolderName);
            if (dryRun && !Directory.Exists(locks))
            {
                removals.Add(new HubCacheRemoval(kind, file.FullName, file.Length));
                return;
            }

            Directory.CreateDirectory(locks);
            // Whoever downloads or links it holds its lock.
            using var held = FileLock.TryTake(Path.Combine(locks, tag + ".lock"), FileLock.OfGroup);
            if (held is not null)
            {
                removals.Add(new HubCacheRemoval(kind, file.FullName, file.Length));
                if (!dryRun)
                {
                    file.Delete();
                }
            }
        }
    }
}
