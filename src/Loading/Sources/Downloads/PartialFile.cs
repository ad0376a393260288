using IlgpuLoader.Formats;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Loading;

/// <summary>
/// A file that is being downloaded, in any order, under a name beside its own; its journal says which bytes are there, so that whoever comes next goes on. It has its own name only when it is whole. Several threads may write
/// different ranges at the same time. Whoever opens it holds the lock of the file.
/// </summary>
internal sealed class PartialFile : IDisposable
{
    /// <summary>What is appended to a file's name for its bytes. huggingface_hub goes on where <c>NAME.incomplete</c> ends, so that a file with holes must never be called that.</summary>
    public const string DataEnding = ".ilgpu-loader.partial";

    /// <summary>What is appended to a file's name for the journal.</summary>
    public const string JournalEnding = ".ilgpu-loader.journal";

    // As for any file that is written here: the disk begins early, so that forcing it at the end is short.
    private const long WritebackBytes = 32 << 20;

    private readonly string _stem;
    private readonly FileSystemCalls _calls;
    private readonly DownloadJournal _journal;
    private readonly SafeFileHandle _data;
    private long _sinceWriteback;

    private PartialFile(string stem, FileSystemCalls calls, DownloadJournal journal, SafeFileHandle data)
    {
        _stem = stem;
        _calls = calls;
        _journal = journal;
        _data = data;
        PresentAtOpening = journal.Present;
    }

    /// <summary>The length of the whole file in bytes.</summary>
    public long Length => _journal.Length;

    /// <summary>How many bytes were there when it was opened.</summary>
    public long PresentAtOpening { get; }

    /// <summary>How many ranges it has.</summary>
    public int RangeCount => _journal.Count;

    /// <summary>Whether a file of this base name is what an unfinished download has left.</summary>
    public static bool IsUnfinished(string name) => name.EndsWith(DataEnding, StringComparison.Ordinal) || name.EndsWith(JournalEnding, StringComparison.Ordinal);

    /// <summary>Opens what an earlier run left, or begins.</summary>
    /// <param name="stem">The path to whose end the endings are appended.</param>
    /// <param name="length">The length of the whole file.</param>
    /// <param name="rangeBytes">The bytes of a range.</param>
    /// <param name="prefix">A file of another program that holds the beginning and nothing else: it is taken over where there is nothing of ours. Null for none.</param>
    /// <param name="isChecked">Whether a hash will tell of wrong bytes.</param>
    /// <param name="calls">The calls of the file system.</param>
    /// <exception cref="IOException">It cannot be made or opened, or there is no room for it.</exception>
    public static PartialFile Open(string stem, long length, long rangeBytes, string? prefix, bool isChecked, FileSystemCalls calls) =>
        OutputFailure.Explain(
            stem,
            () =>
            {
                var (dataPath, journalPath) = (stem + DataEnding, stem + JournalEnding);
                var journal = File.Exists(dataPath) ? DownloadJournal.TryOpen(journalPath, length, isChecked) : null;
                if (journal is null)
                {
                    // Bytes without their journal may have holes.
                    File.Delete(dataPath);
                    journal = DownloadJournal.Create(journalPath, length, rangeBytes, TakeOver(prefix, length, dataPath));
                }

                try
                {
                    return OpenData(stem, dataPath, journal, calls);
                }
                catch
                {
                    journal.Dispose();
                    throw;
                }
            },
            length);

    /// <summary>How many bytes an earlier run left.</summary>
    /// <inheritdoc cref="Open" path="/param"/>
    public static long CountPresent(string stem, long length, string? prefix, bool isChecked)
    {
        if (File.Exists(stem + DataEnding))
        {
            using var journal = DownloadJournal.TryOpen(stem + JournalEnding, length, isChecked);
            return journal?.Present ?? 0;
        }

        return PrefixLength(prefix, length);
    }

    /// <summary>How many bytes of the disk an earlier run has taken: all that it would need, where the file system can reserve. 0 where that is not known.</summary>
    /// <inheritdoc cref="Open" path="/param"/>
    public static long CountAllocated(string stem, FileSystemCalls calls) => calls.CountAllocatedBytes(stem + DataEnding) ?? 0;

    /// <summary>Removes what an earlier run left.</summary>
    /// <inheritdoc cref="Open" path="/param[@name='stem']"/>
    public static void Delete(string stem)
    {
        File.Delete(stem + DataEnding);
        File.Delete(stem + JournalEnding);
    }

    /// <summary>What is missing of a range.</summary>
    /// <param name="range">The range.</param>
    /// <returns>The first byte that is missing, in the file, and how many are.</returns>
    public (long Offset, long Length) MissingOf(int range)
    {
        var done = _journal.DoneOf(range);
        return ((range * _journal.RangeBytes) + done, _journal.LengthOf(range) - done);
    }

    /// <summary>Where the bytes end that are there without a gap from the beginning.</summary>
    /// <param name="range">The first range that may be incomplete; it is moved on.</param>
    public long FindPrefix(ref int range)
    {
        while (range < _journal.Count && _journal.DoneOf(range) == _journal.LengthOf(range))
        {
            range++;
        }

        return range < _journal.Count ? (range * _journal.RangeBytes) + _journal.DoneOf(range) : Length;
    }

    /// <summary>Writes the next bytes of a range, and says so.</summary>
    /// <param name="range">The range; one thread at a time.</param>
    /// <param name="bytes">The bytes.</param>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    public void Append(int range, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(_data, bytes, MissingOf(range).Offset);
            _journal.Add(range, bytes.Length);
            if (Interlocked.Add(ref _sinceWriteback, bytes.Length) >= WritebackBytes)
            {
                Interlocked.Exchange(ref _sinceWriteback, 0);
                _calls.BeginWriteback(_data);
            }
        }
        catch (IOException exception)
        {
            throw OutputFailure.Of(_stem, exception, Length);
        }
    }

    /// <summary>Reads bytes that are there.</summary>
    /// <param name="offset">The first.</param>
    /// <param name="into">Where they go.</param>
    /// <returns>How many were read, at least one.</returns>
    /// <exception cref="IOException">The disk failed, or somebody has cut the file.</exception>
    public int Read(long offset, Span<byte> into)
    {
        var read = RandomAccess.Read(_data, into, offset);
        return read > 0 ? read : throw new IOException($"{_stem}{DataEnding}: the file ends at byte {offset}, which was written before; somebody else has changed it. Begin again.");
    }

    /// <summary>Forces the whole file to disk and gives it its name.</summary>
    /// <param name="target">The path that it is to have; a file that has it is replaced.</param>
    /// <exception cref="IOException">The disk failed.</exception>
    public void Complete(string target) =>
        OutputFailure.Explain(
            target,
            () =>
            {
                // As AtomicFile does: content, then the name, then the folder. The journal last: without its bytes it means nothing.
                _calls.FlushFile(_data);
                _calls.MoveFile(_stem + DataEnding, target);
                _calls.FlushFolder(Path.GetDirectoryName(target)!);
                _journal.Dispose();
                _calls.DeleteFile(_stem + JournalEnding);
            },
            Length);

    /// <inheritdoc/>
    public void Dispose()
    {
        _journal.Dispose();
        _data.Dispose();
    }

    private static PartialFile OpenData(string stem, string dataPath, DownloadJournal journal, FileSystemCalls calls)
    {
        var data = File.OpenHandle(dataPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            // The space is taken now: a full disk is reported before the work.
            calls.Reserve(data, stem, journal.Length);
            return new PartialFile(stem, calls, journal, data);
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    // The journal is written after the rename: a kill between them leaves bytes without a journal, which begin again, and never holes that count.
    private static long TakeOver(string? prefix, long length, string dataPath)
    {
        var present = PrefixLength(prefix, length);
        if (present > 0)
        {
            File.Move(prefix!, dataPath, overwrite: true);
        }

        return present;
    }

    private static long PrefixLength(string? prefix, long length) =>
        prefix is not null && new FileInfo(prefix) is { Exists: true, LinkTarget: null } file && file.Length <= length ? file.Length : 0;
}
