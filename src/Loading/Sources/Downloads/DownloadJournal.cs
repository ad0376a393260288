using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which bytes of a partial file are there: how many of each range, from its beginning. A number is written after the bytes that it counts, so that a process that is killed at any moment leaves no more said than there is.
/// </summary>
/// <remarks>
/// The file: <c>ILGPUDL1</c>, the length of the whole, the bytes of a range, the identity of the system's run, then one number a range; all of 8 bytes, the identity of 16, little-endian. A machine that loses its power may
/// keep the numbers and not the bytes: where no hash tells of it, what another run of the system wrote does not count. Each number is written by one thread at a time.
/// </remarks>
internal sealed class DownloadJournal : IDisposable
{
    private const ulong Signature = 0x314c445550474c49;
    private const int HeaderBytes = 40;

    // A terabyte in ranges of 1 MiB: 8 MiB of numbers.
    private const long MostRanges = 1 << 20;

    // Ranges longer than the file are settings that are larger than it; none that is sensible is larger than this.
    private const long LongestRangeOfShortFiles = 1 << 30;

    private readonly SafeFileHandle _handle;
    private readonly long[] _done;

    private DownloadJournal(SafeFileHandle handle, long length, long rangeBytes, long[] done)
    {
        _handle = handle;
        Length = length;
        RangeBytes = rangeBytes;
        _done = done;
    }

    /// <summary>The length of the whole file in bytes.</summary>
    public long Length { get; }

    /// <summary>The bytes of a range; the last may be shorter.</summary>
    public long RangeBytes { get; }

    /// <summary>How many ranges there are.</summary>
    public int Count => _done.Length;

    /// <summary>How many bytes are there in all.</summary>
    public long Present => _done.Sum();

    /// <summary>Begins a journal in which the first bytes are there.</summary>
    /// <param name="path">Its file; one that is there is replaced.</param>
    /// <param name="length">The length of the whole file.</param>
    /// <param name="rangeBytes">The bytes of a range, at least.</param>
    /// <param name="prefix">How many bytes are there already.</param>
    public static DownloadJournal Create(string path, long length, long rangeBytes, long prefix)
    {
        rangeBytes = Math.Max(Math.Max(rangeBytes, 1), (length + MostRanges - 1) / MostRanges);
        var done = new long[(int)((length + rangeBytes - 1) / rangeBytes)];
        for (var i = 0; i < done.Length; i++)
        {
            done[i] = Math.Clamp(prefix - (i * rangeBytes), 0, Math.Min(rangeBytes, length - (i * rangeBytes)));
        }

        var bytes = new byte[HeaderBytes + (done.Length * sizeof(long))];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Signature);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), rangeBytes);
        SystemRun().TryWriteBytes(bytes.AsSpan(24));
        for (var i = 0; i < done.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(HeaderBytes + (i * sizeof(long))), done[i]);
        }

        var handle = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            RandomAccess.Write(handle, bytes, 0);
            return new DownloadJournal(handle, length, rangeBytes, done);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Opens the journal that an earlier run left; null where there is none that fits.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="length">The length of the whole file.</param>
    /// <param name="isChecked">Whether a hash tells of bytes that a loss of power took; else those of another run of the system do not count.</param>
    public static DownloadJournal? TryOpen(string path, long length, bool isChecked)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        var handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        var journal = TryRead(handle, length, isChecked);
        if (journal is null)
        {
            handle.Dispose();
        }

        return journal;
    }

    /// <summary>How many bytes of a range are there.</summary>
    public long DoneOf(int range) => Volatile.Read(ref _done[range]);

    /// <summary>The bytes of a range.</summary>
    public long LengthOf(int range) => Math.Min(RangeBytes, Length - (range * RangeBytes));

    /// <summary>Counts bytes of a range that have been written.</summary>
    /// <param name="range">The range.</param>
    /// <param name="bytes">How many more are there.</param>
    public void Add(int range, int bytes)
    {
        Span<byte> number = stackalloc byte[sizeof(long)];
        var done = _done[range] + bytes;
        BinaryPrimitives.WriteInt64LittleEndian(number, done);
        RandomAccess.Write(_handle, number, HeaderBytes + ((long)range * sizeof(long)));
        Volatile.Write(ref _done[range], done);
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    private static DownloadJournal? TryRead(SafeFileHandle handle, long length, bool isChecked)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        if (RandomAccess.Read(handle, header, 0) < HeaderBytes
            || BinaryPrimitives.ReadUInt64LittleEndian(header) != Signature
            || BinaryPrimitives.ReadInt64LittleEndian(header[8..]) != length
            || BinaryPrimitives.ReadInt64LittleEndian(header[16..]) is var rangeBytes && (rangeBytes <= 0 || rangeBytes > Math.Max(length, LongestRangeOfShortFiles))
            || (!isChecked && (SystemRun() is var run && (run == Guid.Empty || run != new Guid(header[24..])))))
        {
            return null;
        }

        var count = (length + rangeBytes - 1) / rangeBytes;
        if (count > MostRanges || RandomAccess.GetLength(handle) != HeaderBytes + (count * sizeof(long)))
        {
            return null;
        }

        var bytes = new byte[count * sizeof(long)];
        if (RandomAccess.Read(handle, bytes, HeaderBytes) < bytes.Length)
        {
            return null;
        }

        var done = new long[count];
        for (var i = 0; i < done.Length; i++)
        {
            done[i] = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(i * sizeof(long)));
            if (done[i] < 0 || done[i] > Math.Min(rangeBytes, length - (i * rangeBytes)))
            {
                return null;
            }
        }

        return new DownloadJournal(handle, length, rangeBytes, done);
    }

    // A new one with each start of the system; empty where the system has none.
    private static Guid SystemRun()
    {
        const string path = "/proc/sys/kernel/random/boot_id";
        return OperatingSystem.IsLinux() && File.Exists(path) && Guid.TryParse(File.ReadAllText(path).AsSpan().Trim(), out var run) ? run : Guid.Empty;
    }
}
