using System.IO.Enumeration;
using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A cache of the Hub's files as huggingface_hub lays it out (file_download.py), so that both use it side by side: blobs by their ETags, snapshots of links to them, refs, markers of what is missing, locks. Every name is
/// checked before it becomes a path. Safe for any thread, and beside other processes.
/// </summary>
/// <param name="root">The cache's folder.</param>
/// <param name="usesLinks">Whether snapshots are links; else they have files of their own.</param>
/// <param name="calls">The calls of the file system; null for the machine's.</param>
internal sealed class HubCache(string root, bool usesLinks = true, FileSystemCalls? calls = null)
{
    /// <summary>The folder of the locks, beside those of the repositories.</summary>
    public const string LocksFolder = ".locks";

    /// <summary>The name of the file that tells backups of a cache (https://bford.info/cachedir/).</summary>
    public const string TagFile = "CACHEDIR.TAG";

    /// <summary>What huggingface_hub appends to a blob's name while it is not whole: it holds the beginning, and nothing else.</summary>
    public const string IncompleteEnding = ".incomplete";

    // As huggingface_hub writes it; the signature is the standard's.
    private const string TagContent =
        "Signature: 8a477f597d28d172789f06886806bc55\n"
        + "# This file is a cache directory tag created by huggingface_hub.\n"
        + "# For information about cache directory tags, see:\n"
        + "#\thttps://bford.info/cachedir/\n";

    private static readonly EnumerationOptions All = new() { AttributesToSkip = FileAttributes.None, RecurseSubdirectories = true };

    private readonly FileSystemCalls _calls = calls ?? FileSystemCalls.Native;

    /// <summary>The cache's folder.</summary>
    public string Root { get; } = root;

    /// <summary>Whether snapshots are links.</summary>
    public bool UsesLinks { get; } = usesLinks;

    /// <summary>The folder of a repository.</summary>
    public string FolderOf(HubRepository repository) => Path.Combine(Root, repository.FolderName);

    /// <summary>The folder of a commit's files.</summary>
    public string SnapshotOf(HubRepository repository, string commit)
    {
        HubName.CheckCommit(commit, repository.ToString());
        return Path.Combine(FolderOf(repository), "snapshots", commit);
    }

    /// <summary>Where a file of a commit is.</summary>
    public string FileOf(HubRepository repository, string commit, string path) => Below(SnapshotOf(repository, commit), path, repository);

    /// <summary>Where the content of an ETag is.</summary>
    public string BlobOf(HubRepository repository, string tag)
    {
        HubName.CheckTag(tag, repository.ToString());
        return Path.Combine(FolderOf(repository), "blobs", tag);
    }

    /// <summary>The lock of an ETag's content.</summary>
    public string LockOf(HubRepository repository, string tag)
    {
        HubName.CheckTag(tag, repository.ToString());
        return Path.Combine(Root, LocksFolder, repository.FolderName, tag + ".lock");
    }

    /// <summary>The commit of a revision as far as the cache knows: that of its ref, or itself; null where it does not.</summary>
    public string? FindCommit(HubRepository repository, string revision)
    {
        if (HubName.IsCommit(revision))
        {
            return revision;
        }

        var path = RefOf(repository, revision);
        // A commit has 40 digits: nothing longer is read.
        if (!File.Exists(path) || new FileInfo(path).Length > 64)
        {
            return null;
        }

        var commit = File.ReadAllText(path).Trim();
        return HubName.IsCommit(commit) ? commit : null;
    }

    /// <summary>Looks for a file as huggingface_hub's <c>try_to_load_from_cache</c> does.</summary>
    public HubCacheLookup Find(HubRepository repository, string revision, string path)
    {
        if (FindCommit(repository, revision) is not { } commit)
        {
            return default;
        }

        if (File.Exists(MarkerOf(repository, commit, path)))
        {
            return new HubCacheLookup(null, IsKnownMissing: true);
        }

        var file = FileOf(repository, commit, path);
        return new HubCacheLookup(IsThere(file) ? file : null, IsKnownMissing: false);
    }

    /// <summary>Whether a file is there: a link that leads nowhere is none, though .NET says that it exists.</summary>
    public static bool IsThere(string file) =>
        File.Exists(file) && (new FileInfo(file).LinkTarget is null || File.ResolveLinkTarget(file, returnFinalTarget: true)?.Exists == true);

    /// <summary>The paths of the files that are there of a commit.</summary>
    public IReadOnlyList<string> PathsOf(HubRepository repository, string commit)
    {
        var folder = SnapshotOf(repository, commit);
        return !Directory.Exists(folder)
            ? []
            : [.. new FileSystemEnumerable<string>(folder, (ref entry) => entry.ToFullPath(), All)
            {
                ShouldIncludePredicate = (ref entry) => !entry.IsDirectory,
                ShouldRecursePredicate = (ref entry) => !entry.Attributes.HasFlag(FileAttributes.ReparsePoint),
            }.Where(IsThere).Select(file => Path.GetRelativePath(folder, file).Replace(Path.DirectorySeparatorChar, '/')).Order(StringComparer.Ordinal)];
    }

    /// <summary>Remembers the commit of a branch or tag, unless the cache knows it already.</summary>
    public async Task WriteRefAsync(HubRepository repository, string revision, string commit, CancellationToken cancellationToken)
    {
        HubName.CheckCommit(commit, repository.ToString());
        if (revision == commit || FindCommit(repository, revision) == commit)
        {
            return;
        }

        var path = RefOf(repository, revision);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        // Without a newline.
        await AtomicFile.WriteAllBytesAsync(AtomicFile.Create(path, commit.Length, _calls), Encoding.ASCII.GetBytes(commit), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Remembers that a commit has no such file.</summary>
    public void MarkMissing(HubRepository repository, string commit, string path)
    {
        var marker = MarkerOf(repository, commit, path);
        if (!File.Exists(marker))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(marker)!);
            File.Create(marker).Dispose();
        }
    }

    /// <summary>Puts the tag into the cache's folder, where it has none.</summary>
    public void Tag() => Tag(Root);

    /// <summary>Puts the tag into a folder, where it has none.</summary>
    public static void Tag(string folder)
    {
        var path = Path.Combine(folder, TagFile);
        if (!File.Exists(path))
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(path, TagContent);
        }
    }

    /// <summary>Makes a file of a snapshot of a blob that is there: a relative link, or where there can be none the file itself.</summary>
    /// <param name="blob">The blob.</param>
    /// <param name="file">The file of the snapshot.</param>
    /// <param name="isNew">Whether the blob was fetched for this file: without links it is moved there; else it may be another's, and is copied.</param>
    public void Link(string blob, string file, bool isNew)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        if (UsesLinks && TryLink(blob, file))
        {
            return;
        }

        if (isNew)
        {
            _calls.MoveFile(blob, file);
        }
        else
        {
            // Whole or not at all.
            var beside = TemporaryName.Beside(file);
            File.Copy(blob, beside);
            _calls.MoveFile(beside, file);
        }
    }

    private bool TryLink(string blob, string file)
    {
        var target = Path.GetRelativePath(Path.GetDirectoryName(file)!, blob);
        // Made beside and moved, so that nobody finds none where one was: a link that leads nowhere is replaced.
        Leftovers.Remove(file, _calls);
        var beside = TemporaryName.Beside(file);
        try
        {
            _calls.MakeLink(beside, target);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Windows without the right to make them, and file systems that have none.
            return false;
        }

        try
        {
            _calls.MoveFile(beside, file);
            return true;
        }
        catch
        {
            _calls.DeleteFile(beside);
            throw;
        }
    }

    private static string Below(string folder, string path, HubRepository repository)
    {
        HubName.CheckPath(path, repository.ToString());
        return Path.Combine([folder, .. path.Split('/')]);
    }

    private string RefOf(HubRepository repository, string revision)
    {
        HubName.CheckRevision(revision, repository.ToString());
        return Path.Combine([FolderOf(repository), "refs", .. revision.Split('/')]);
    }

    private string MarkerOf(HubRepository repository, string commit, string path)
    {
        HubName.CheckCommit(commit, repository.ToString());
        return Below(Path.Combine(FolderOf(repository), ".no_exist", commit), path, repository);
    }
}
