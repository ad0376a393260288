using System.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Loading;

/// <summary>
/// The limit that a load is held against: plain positional reads of the same files into memory that was touched before, with a number of
/// threads and a block size. Nothing of the loader is in it.
/// </summary>
internal sealed class ReadYardstick : IDisposable
{
    // Reads past the page cache: offsets, lengths and addresses are multiples of every block size that disks have.
    private const int Alignment = 4096;

    // The largest block of any setting: a smaller buffer has no place for it.
    private const long SmallestBuffer = 16L << 20;

    // What is tried to find the fastest setting; a checkpoint of hundreds of gigabytes would take hours.
    private const long SearchBytes = 1L << 30;

    private readonly string[] _paths;
    private readonly SafeFileHandle[] _files;
    private readonly SafeFileHandle?[] _direct;
    private readonly long[] _lengths;
    private readonly long[] _starts;
    private readonly YardstickMemory _memory;
    private readonly Func<string, SafeFileHandle?> _openDirect;
    private bool? _hasDirect;

    /// <summary>Opens files and takes memory to read them into.</summary>
    /// <param name="paths">The files.</param>
    /// <param name="most">
    /// The most memory that is taken, though never less than 16 MiB: where the files have more, blocks of it are used in turn.
    /// </param>
    public ReadYardstick(IEnumerable<string> paths, long most = long.MaxValue)
        : this(paths, most, MeasuringCalls.OpenDirect)
    {
    }

    /// <inheritdoc cref="ReadYardstick(IEnumerable{string}, long)"/>
    /// <param name="paths">The files.</param>
    /// <param name="most">The most memory that is taken.</param>
    /// <param name="openDirect">Opens a file past the page cache, so that tests can play a file system that refuses.</param>
    internal ReadYardstick(IEnumerable<string> paths, long most, Func<string, SafeFileHandle?> openDirect)
    {
        _openDirect = openDirect;
        _paths = [.. paths];
        _files = new SafeFileHandle[_paths.Length];
        _direct = new SafeFileHandle?[_paths.Length];
        _lengths = new long[_paths.Length];
        _starts = new long[_paths.Length];
        long end = 0;
        try
        {
            for (var i = 0; i < _paths.Length; i++)
            {
                _files[i] = File.OpenHandle(_paths[i]);
                _lengths[i] = RandomAccess.GetLength(_files[i]);
                _starts[i] = end;
                end += (_lengths[i] + Alignment - 1) / Alignment * Alignment;
            }

            TotalBytes = _lengths.Sum();
            most = Math.Max(most, SmallestBuffer) / Alignment * Alignment;
            IsBounded = end > most;
            _memory = new YardstickMemory(Math.Min(end, most));
        }
        catch
        {
            CloseFiles();
            throw;
        }

        _memory.Touch(Environment.ProcessorCount, CancellationToken.None);
    }

    /// <summary>The bytes of all files.</summary>
    public long TotalBytes { get; }

    /// <summary>The memory that is read into.</summary>
    public long BufferBytes => _memory.Length;

    /// <summary>Whether there is less memory than the files have bytes, so that its blocks are used in turn.</summary>
    public bool IsBounded { get; }

    /// <summary>Whether every file can be read past the page cache: the first block of each was.</summary>
    public bool HasDirect => _hasDirect ??= TryReadDirect();

    /// <summary>Reads the files once.</summary>
    /// <param name="setting">How; past the page cache only where <see cref="HasDirect"/>.</param>
    /// <param name="cancellationToken">Asked for every block.</param>
    /// <param name="most">The most that is read, in whole blocks.</param>
    /// <returns>The seconds it took.</returns>
    /// <exception cref="EndOfStreamException">A file became shorter.</exception>
    public double Measure(ReadSetting setting, CancellationToken cancellationToken, long most = long.MaxValue)
    {
        if (setting.IsDirect && !HasDirect)
        {
            throw new NotSupportedException("The file system has no reads past the page cache.");
        }

        var blocks = new List<(int File, long Offset, int Length)>();
        long total = 0;
        for (var file = 0; file < _files.Length; file++)
        {
            for (long offset = 0; offset < _lengths[file] && total < most; offset += setting.BlockBytes)
            {
                var length = (int)Math.Min(setting.BlockBytes, _lengths[file] - offset);
                blocks.Add((file, offset, length));
                total += length;
            }
        }

        var slots = _memory.Length / setting.BlockBytes;
        var started = Stopwatch.GetTimestamp();
        MeasuringThreads.Run(
            setting.Lanes,
            blocks.Count,
            index =>
            {
                var (file, offset, length) = blocks[index];
                var place = IsBounded ? index % slots * setting.BlockBytes : _starts[file] + offset;
                Read(file, offset, length, place, setting.IsDirect);
            },
            cancellationToken);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Finds the setting that reads fastest, each measured some times in turn.</summary>
    /// <param name="settings">What is tried.</param>
    /// <param name="rounds">How often.</param>
    /// <param name="cancellationToken">Asked for every block.</param>
    /// <param name="before">Called before each measurement, such as to drop the files from the page cache.</param>
    public ReadSetting FindBest(
        IEnumerable<ReadSetting> settings, int rounds, CancellationToken cancellationToken, Action? before = null)
    {
        var all = settings.ToArray();
        var seconds = all.Select(_ => new double[rounds]).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < all.Length; i++)
            {
                before?.Invoke();
                seconds[i][round] = Measure(all[i], cancellationToken, SearchBytes);
            }
        }

        return all.Zip(seconds, (setting, times) => (Setting: setting, MeasuredStatistic.Of(times).Median)).MinBy(tried => tried.Median).Setting;
    }

    /// <summary>What was read last, where there is memory for all files: each begins on the next multiple of 4 KiB.</summary>
    internal ReadOnlySpan<byte> Buffer(long offset, int length) => _memory.AsSpan(offset, length);

    /// <summary>Closes the files and frees the memory.</summary>
    public void Dispose()
    {
        _memory.Dispose();
        CloseFiles();
    }

    // File systems in user space, of networks and of encrypted files may take the flag and refuse the reads.
    private bool TryReadDirect()
    {
        for (var i = 0; i < _paths.Length; i++)
        {
            _direct[i] = _openDirect(_paths[i]);
            if (_direct[i] is not { } file)
            {
                return false;
            }

            try
            {
                _ = _lengths[i] == 0 ? 0 : RandomAccess.Read(file, _memory.AsSpan(0, Alignment), 0);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or NotSupportedException)
            {
                return false;
            }
        }

        return true;
    }

    private void Read(int file, long offset, int length, long place, bool isDirect)
    {
        var handle = isDirect ? _direct[file]! : _files[file];
        // A read past the page cache is whole blocks long, also the last one of a file, which gives fewer bytes.
        var asked = isDirect ? (length + Alignment - 1) / Alignment * Alignment : length;
        for (var done = 0; done < length;)
        {
            var read = RandomAccess.Read(handle, _memory.AsSpan(place + done, asked - done), offset + done);
            if (read == 0)
            {
                throw new EndOfStreamException($"'{_paths[file]}' ends at {offset + done}: it became shorter while it was measured.");
            }

            done += read;
        }
    }

    private void CloseFiles()
    {
        foreach (var file in _files.Concat(_direct))
        {
            file?.Dispose();
        }
    }
}
