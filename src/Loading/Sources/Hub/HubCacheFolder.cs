using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The folder of a repository in a cache of the Hub, as it was when it was read. Links that lead out of it are no part of it.</summary>
/// <param name="Repository">What users see of it.</param>
/// <param name="Blobs">Its blobs.</param>
/// <param name="Unfinished">What downloads have left beside them.</param>
/// <param name="Problems">What is not as it should be.</param>
internal sealed record HubCacheFolder(HubCachedRepository Repository, IReadOnlyList<FileInfo> Blobs, IReadOnlyList<FileInfo> Unfinished, IReadOnlyList<HubCacheProblem> Problems)
{
    private static readonly EnumerationOptions All = new() { AttributesToSkip = FileAttributes.None, IgnoreInaccessible = false };

    private static readonly string[] UnfinishedEndings = [HubCache.IncompleteEnding, PartialFile.DataEnding, PartialFile.JournalEnding];

    /// <summary>Reads a repository's folder.</summary>
    public static HubCacheFolder Read(HubRepository repository, string folder, CancellationToken cancellationToken)
    {
        var problems = new List<HubCacheProblem>();
        var files = Directory.Exists(Path.Combine(folder, "blobs"))
            ? new DirectoryInfo(Path.Combine(folder, "blobs")).EnumerateFiles("*", All).Where(file => file.LinkTarget is null).OrderBy(file => file.Name, StringComparer.Ordinal).ToLookup(file => IsUnfinished(file.Name))
            : Array.Empty<FileInfo>().ToLookup(_ => false);
        FileInfo[] blobs = [.. files[false]];
        var refs = ReadRefs(Path.Combine(folder, "refs"));
        var revisions = new List<HubCachedRevision>();
        var snapshots = Path.Combine(folder, "snapshots");
        if (Directory.Exists(snapshots))
        {
            foreach (var snapshot in new DirectoryInfo(snapshots).EnumerateDirectories("*", All).Where(entry => entry.LinkTarget is null && HubName.IsCommit(entry.Name)).OrderBy(entry => entry.Name, StringComparer.Ordinal))
            {
                cancellationToken.ThrowIfCancellationRequested();
                var found = new List<HubCachedFile>();
                ReadSnapshot(snapshot, "", Path.Combine(folder, "blobs"), found, problems);
                found.Sort((one, other) => string.CompareOrdinal(one.Path, other.Path));
                revisions.Add(new HubCachedRevision(snapshot.Name, [.. refs[snapshot.Name].Order(StringComparer.Ordinal)], found, new DateTimeOffset(snapshot.LastWriteTimeUtc)));
            }
        }

        foreach (var missing in refs.Where(named => revisions.All(revision => revision.Commit != named.Key)))
        {
            problems.Add(new HubCacheProblem(Path.Combine(folder, "refs"), $"{string.Join(", ", missing.Select(Quoted.Name))} mean{(missing.Count() == 1 ? "s" : "")} the commit {Quoted.Name(missing.Key)}, of which nothing is here."));
        }

        var bytes = blobs.Sum(blob => blob.Length) + files[true].Sum(file => file.Length) + revisions.SelectMany(revision => revision.Files).Where(file => file.Blob is null).Sum(file => file.Bytes);
        return new HubCacheFolder(new HubCachedRepository(repository, folder, bytes, revisions), blobs, [.. files[true]], problems);
    }

    /// <summary>The ETag that something unfinished is to become.</summary>
    public static string TagOfUnfinished(string name)
    {
        // huggingface_hub also writes TAG.RANDOM.incomplete, and tags have no full stops that matter here.
        var stem = UnfinishedEndings.First(ending => name.EndsWith(ending, StringComparison.Ordinal)) is var found ? name[..^found.Length] : name;
        return ContentDigest.KindOf(stem) == ContentDigestKind.None && stem.IndexOf('.', StringComparison.Ordinal) is var dot and > 0 ? stem[..dot] : stem;
    }

    private static bool IsUnfinished(string name) => UnfinishedEndings.Any(ending => name.EndsWith(ending, StringComparison.Ordinal));

    private static ILookup<string, string> ReadRefs(string folder)
    {
        if (!Directory.Exists(folder))
        {
            return Array.Empty<string>().ToLookup(commit => commit);
        }

        // A commit has 40 digits: nothing longer is read.
        return new DirectoryInfo(folder).EnumerateFiles("*", new EnumerationOptions { AttributesToSkip = FileAttributes.ReparsePoint, RecurseSubdirectories = true })
            .Where(file => file.Length <= 64)
            .ToLookup(file => File.ReadAllText(file.FullName).Trim(), file => Path.GetRelativePath(folder, file.FullName).Replace(Path.DirectorySeparatorChar, '/'));
    }

    private static void ReadSnapshot(DirectoryInfo folder, string prefix, string blobs, List<HubCachedFile> files, List<HubCacheProblem> problems)
    {
        foreach (var entry in folder.EnumerateFileSystemInfos("*", All))
        {
            var path = prefix + entry.Name;
            if (entry.LinkTarget is null)
            {
                if (entry is DirectoryInfo inner)
                {
                    ReadSnapshot(inner, path + "/", blobs, files, problems);
                }
                else
                {
                    files.Add(new HubCachedFile(path, null, ((FileInfo)entry).Length, new DateTimeOffset(entry.LastAccessTimeUtc)));
                }

                continue;
            }

            var target = Path.GetFullPath(Path.Combine(folder.FullName, entry.LinkTarget));
            if (Path.GetDirectoryName(target) != blobs)
            {
                problems.Add(new HubCacheProblem(entry.FullName, $"this link leads out of the repository's blobs, to {Quoted.Name(entry.LinkTarget)}; it is left alone. Remove it if you did not make it."));
            }
            else if (new FileInfo(target) is { Exists: true } blob)
            {
                files.Add(new HubCachedFile(path, blob.Name, blob.Length, new DateTimeOffset(blob.LastAccessTimeUtc)));
            }
            else
            {
                problems.Add(new HubCacheProblem(entry.FullName, "this link leads to a blob that is not there; download the file again."));
            }
        }
    }
}
