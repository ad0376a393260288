using System.Globalization;
using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// The files of a model that were held against their hashes, with what they looked like then: size, and time of the last change. As long as they look so they are not read again, which takes longer than
/// a load does. Its library believes its index without looking at all. One process at a time, who has the model's lock.
/// </summary>
internal sealed class VerifiedFiles
{
    // As git does with its index ("racy git"): a file that has just changed may change again without another time; FAT's times are two seconds apart, ext4's a few milliseconds.
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(2);

    // Some 200 bytes a file: more than any model has. What is larger is not ours.
    private const long LargestBytes = 16 << 20;

    private readonly string? _file;
    private readonly Dictionary<string, Seen> _seen = new(StringComparer.Ordinal);
    private bool _isChanged;

    private VerifiedFiles(string? file) => _file = file;

    /// <summary>Reads what is known.</summary>
    /// <param name="file">Where it is kept; null for nowhere.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>Nothing where there is no such file, or another's: then files are read again.</returns>
    public static async Task<VerifiedFiles> ReadAsync(string? file, CancellationToken cancellationToken)
    {
        var known = new VerifiedFiles(file);
        if (file is not null && new FileInfo(file) is { Exists: true, Length: <= LargestBytes })
        {
            foreach (var line in await File.ReadAllLinesAsync(file, cancellationToken).ConfigureAwait(false))
            {
                known.Take(line);
            }
        }

        return known;
    }

    /// <summary>Whether a file looks as it did when its hash was this.</summary>
    /// <param name="path">Its path in the model.</param>
    /// <param name="found">The file.</param>
    /// <param name="sha256">The hash, in lower case.</param>
    public bool Contains(string path, FileInfo found, string sha256) => _seen.TryGetValue(path, out var seen) && seen == Seen.Of(found, sha256);

    /// <summary>Holds a file against its hash.</summary>
    /// <param name="path">Its path in the model.</param>
    /// <param name="found">The file, as it was looked at just now.</param>
    /// <param name="sha256">The hash that it should have, in lower case.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>Whether it has.</returns>
    public async Task<bool> VerifyAsync(string path, FileInfo found, string sha256, CancellationToken cancellationToken)
    {
        var before = Seen.Of(found, sha256);
        var isSettled = DateTime.UtcNow - found.LastWriteTimeUtc > Settled;
        if (await ContentDigest.OfFileAsync(found.FullName, sha256, cancellationToken).ConfigureAwait(false) != sha256)
        {
            _isChanged |= _seen.Remove(path);
            return false;
        }

        found.Refresh();
        if (isSettled && found.Exists && Seen.Of(found, sha256) == before)
        {
            _seen[path] = before;
            _isChanged = true;
        }

        return true;
    }

    /// <summary>Keeps what is known, where it has changed.</summary>
    /// <param name="cancellationToken">Ends the writing; what was kept stays.</param>
    /// <exception cref="IOException">It cannot be kept.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be kept.</exception>
    public async Task WriteAsync(CancellationToken cancellationToken)
    {
        if (_file is null || !_isChanged)
        {
            return;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(_file)!);
        var text = new StringBuilder();
        foreach (var (path, seen) in _seen.OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{seen.Sha256} {seen.Length} {seen.Ticks} {path}\n");
        }

        await AtomicFile.WriteAllBytesAsync(_file, Encoding.UTF8.GetBytes(text.ToString()), overwrite: true, cancellationToken).ConfigureAwait(false);
        _isChanged = false;
    }

    // A line that is none of ours is no knowledge.
    private void Take(string line)
    {
        if (line.Split(' ', 4) is [{ Length: 64 } sha256, var length, var ticks, { Length: > 0 } path]
            && long.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)
            && long.TryParse(ticks, NumberStyles.None, CultureInfo.InvariantCulture, out var changed))
        {
            _seen[path] = new Seen(sha256, bytes, changed);
        }
    }

    private readonly record struct Seen(string Sha256, long Length, long Ticks)
    {
        public static Seen Of(FileInfo file, string sha256) => new(sha256, file.Length, file.LastWriteTimeUtc.Ticks);
    }
}
