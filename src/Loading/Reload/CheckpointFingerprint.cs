using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// What tells two states of a checkpoint's folder apart without reading weights: names, sizes and times of writing of its weight files, indexes and ranks' manifests. Immutable; equal where all
/// of these are.
/// </summary>
public sealed class CheckpointFingerprint : IEquatable<CheckpointFingerprint>
{
    private static readonly string[] Extensions = [.. new FormatDetector(CheckpointOptions.Default).Extensions];

    private readonly ImmutableArray<Entry> _entries;

    private CheckpointFingerprint(ImmutableArray<Entry> entries) => _entries = entries;

    /// <summary>Looks at a folder, or at a single file.</summary>
    /// <param name="folder">The folder, or the file; links count as what they point to, as in a Hub cache's snapshot.</param>
    /// <returns>Null where there is nothing, or it changes at this very moment.</returns>
    public static CheckpointFingerprint? Of(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        try
        {
            // What an index lists, and the parts that a first part has others beside, lie in its folder.
            if (File.Exists(folder) && IsOfSeveral(Path.GetFileName(folder)))
            {
                folder = Path.GetDirectoryName(Path.GetFullPath(folder))!;
            }

            return File.Exists(folder)
                ? new CheckpointFingerprint([Entry.Of(new FileInfo(folder))])
                : new CheckpointFingerprint([.. new DirectoryInfo(folder).EnumerateFiles()
                .Where(file => IsOfCheckpoint(file.Name))
                .Select(Entry.Of)
                .OrderBy(entry => entry.Name, StringComparer.Ordinal)]);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Between the two renames of an exchange the folder is not there; the next look sees it.
            return null;
        }
    }

    /// <inheritdoc/>
    public bool Equals(CheckpointFingerprint? other) => other is not null && _entries.AsSpan().SequenceEqual(other._entries.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as CheckpointFingerprint);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var entry in _entries)
        {
            hash.Add(entry);
        }

        return hash.ToHashCode();
    }

    /// <summary>How many files there are, and their bytes.</summary>
    public override string ToString() => $"{_entries.Length} files, {_entries.Sum(entry => entry.Length)} bytes";

    private static bool IsOfSeveral(string name) => CheckpointFolder.IsIndexName(name) || name.Contains("-of-", StringComparison.Ordinal);

    // Hidden files are no checkpoint's: what somebody has not finished writing.
    private static bool IsOfCheckpoint(string name) =>
        !name.StartsWith('.')
        && (Array.Exists(Extensions, extension => name.EndsWith(extension, StringComparison.OrdinalIgnoreCase))
            || CheckpointFolder.IsIndexName(name)
            || RankManifest.IsFileName(name));

    private readonly record struct Entry(string Name, string Target, long Length, DateTime Written, DateTime Created)
    {
        // The time of making tells a file from one that was copied over it with its size and time of writing kept, where the file system has it.
        public static Entry Of(FileInfo file)
        {
            var target = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo;
            var counted = target ?? file;
            return new Entry(file.Name, target?.FullName ?? "", counted.Length, counted.LastWriteTimeUtc, counted.CreationTimeUtc);
        }
    }
}
