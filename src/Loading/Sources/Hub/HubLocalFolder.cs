using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A folder that has the files of a repository themselves, and beside them, in <c>.cache/huggingface/download</c>, of which commit and ETag each is, as huggingface_hub keeps it (_local_folder.py). Safe for any thread.
/// </summary>
/// <param name="root">The folder.</param>
/// <param name="time">The clock.</param>
/// <param name="calls">The calls of the file system; null for the machine's.</param>
internal sealed class HubLocalFolder(string root, TimeProvider time, FileSystemCalls? calls = null)
{
    private const string MetadataEnding = ".metadata";

    // Clocks of file systems are coarser than ours.
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(1);

    /// <summary>The folder.</summary>
    public string Root { get; } = root;

    private string Own => Path.Combine(Root, ".cache", "huggingface");

    /// <summary>Where a file is.</summary>
    /// <exception cref="RemoteException">Its path leads elsewhere, into a <c>.git</c>, or to what is known of the files (<see cref="RemoteFailure.Unsafe"/>).</exception>
    public string FileOf(string path)
    {
        HubName.CheckLocalPath(path, Root);
        return Below(Root, path);
    }

    /// <summary>The lock of a file.</summary>
    public string LockOf(string path) => MetadataStem(path) + ".lock";

    /// <summary>Where a file is downloaded before it is whole.</summary>
    public string StemOf(string path, string tag)
    {
        HubName.CheckTag(tag, Root);
        return Path.Combine(Path.GetDirectoryName(MetadataStem(path))!, $"{ShortHash(Path.GetFileName(MetadataStem(path)) + ".metadata")}.{tag}");
    }

    /// <summary>Makes the folders of a file, and marks our own as a cache that belongs into no repository.</summary>
    public void Prepare(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FileOf(path))!);
        Directory.CreateDirectory(Path.GetDirectoryName(MetadataStem(path))!);
        HubCache.Tag(Own);
        var ignore = Path.Combine(Own, ".gitignore");
        if (!File.Exists(ignore))
        {
            File.WriteAllText(ignore, "*");
        }
    }

    /// <summary>What is known of a file; null where nothing is, or it has changed since. Its lock is held.</summary>
    public HubLocalMetadata? Read(string path)
    {
        var metadata = MetadataStem(path) + MetadataEnding;
        var file = FileOf(path);
        if (!File.Exists(metadata) || !File.Exists(file))
        {
            return null;
        }

        var lines = File.ReadLines(metadata).Take(3).Select(line => line.Trim()).ToArray();
        if (lines.Length < 3 || !double.TryParse(lines[2], NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) || !double.IsFinite(seconds))
        {
            File.Delete(metadata);
            return null;
        }

        var modified = (File.GetLastWriteTimeUtc(file) - DateTime.UnixEpoch - Tolerance).TotalSeconds;
        return modified <= seconds ? new HubLocalMetadata(lines[0], lines[1]) : null;
    }

    /// <summary>The paths of the files that are here and are known: others lie here for other reasons.</summary>
    /// <param name="commit">The commit that they are of; null for any.</param>
    public IReadOnlyList<string> PathsOf(string? commit)
    {
        var known = Path.Combine(Own, "download");
        return !Directory.Exists(known)
            ? []
            : [.. Directory.EnumerateFiles(known, "*" + MetadataEnding, new EnumerationOptions { AttributesToSkip = FileAttributes.ReparsePoint, RecurseSubdirectories = true })
                .Select(file => Path.GetRelativePath(known, file).Replace(Path.DirectorySeparatorChar, '/')[..^MetadataEnding.Length])
                .Where(path => Read(path) is { } metadata && (commit is null || metadata.Commit == commit))
                .Order(StringComparer.Ordinal)];
    }

    /// <summary>Remembers what a file is. Its lock is held.</summary>
    public Task WriteAsync(string path, string commit, string tag, CancellationToken cancellationToken)
    {
        // Whole at once, unlike theirs, and otherwise the same: commit, ETag and seconds since 1970, one a line.
        var seconds = (time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds.ToString("0.0######", CultureInfo.InvariantCulture);
        var content = Encoding.ASCII.GetBytes($"{commit}\n{tag}\n{seconds}\n");
        return AtomicFile.WriteAllBytesAsync(AtomicFile.Create(MetadataStem(path) + MetadataEnding, content.Length, calls ?? FileSystemCalls.Native), content, cancellationToken);
    }

    private static string Below(string folder, string path)
    {
        HubName.CheckPath(path, folder);
        return Path.Combine([folder, .. path.Split('/')]);
    }

    // As they name it, and only for that.
#pragma warning disable CA5350
    private static string ShortHash(string name) => Convert.ToBase64String(SHA1.HashData(Encoding.UTF8.GetBytes(name))).Replace('+', '-').Replace('/', '_');
#pragma warning restore CA5350

    private string MetadataStem(string path) => Below(Path.Combine(Own, "download"), path);
}
