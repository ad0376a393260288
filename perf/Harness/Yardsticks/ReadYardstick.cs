using System.Diagnostics;
using IlgpuLoader.Gpu;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Harness;

/// <summary>
/// The limit that a load is held against: plain positional reads of the same files into memory that was touched before,
/// with a number of threads and a block size. Nothing of the loader is in it.
/// </summary>
internal sealed class ReadYardstick : IDisposable
{
    private static readonly int[] LaneCounts = [1, 2, 4];
    private static readonly int[] BlockSizes = [1 << 20, 4 << 20, 16 << 20];

    private readonly SafeFileHandle[] _files;
    private readonly long[] _lengths;
    private readonly long[] _starts;
    private readonly HostMemory _memory;

    public ReadYardstick(IEnumerable<string> paths)
    {
        _files = [.. paths.Select(path => File.OpenHandle(path))];
        _lengths = [.. _files.Select(RandomAccess.GetLength)];
        _starts = new long[_files.Length];
        for (var i = 1; i < _files.Length; i++)
        {
            _starts[i] = _starts[i - 1] + _lengths[i - 1];
        }

        TotalBytes = _lengths.Sum();
        _memory = (HostMemory)HostDevice.Shared.Allocate(TotalBytes);
        _memory.Populate(0, TotalBytes);
        _memory.MarkPopulated();
    }

    /// <summary>Lanes and block sizes that are tried.</summary>
    public static IEnumerable<(int Lanes, int BlockBytes)> Settings =>
        from lanes in LaneCounts from block in BlockSizes select (lanes, block);

    public long TotalBytes { get; }

    /// <summary>Reads everything once.</summary>
    /// <returns>The seconds it took.</returns>
    public double Measure(int lanes, int blockBytes)
    {
        var blocks = new List<(int File, long Offset, int Length)>();
        for (var file = 0; file < _files.Length; file++)
        {
            for (long offset = 0; offset < _lengths[file]; offset += blockBytes)
            {
                blocks.Add((file, offset, (int)Math.Min(blockBytes, _lengths[file] - offset)));
            }
        }

        var next = 0;
        var started = Stopwatch.GetTimestamp();
        var threads = new Thread[lanes];
        for (var i = 0; i < lanes; i++)
        {
            threads[i] = new Thread(() =>
            {
                int index;
                while ((index = Interlocked.Increment(ref next) - 1) < blocks.Count)
                {
                    var (file, offset, length) = blocks[index];
                    for (var done = 0; done < length;)
                    {
                        done += RandomAccess.Read(_files[file], _memory.AsSpan(_starts[file] + offset + done, length - done), offset + done);
                    }
                }
            });
            threads[i].Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Finds the setting that reads fastest, the median of three rounds each.</summary>
    public (int Lanes, int BlockBytes, double Seconds) FindBest()
    {
        const int rounds = 3;
        var settings = Settings.ToArray();
        var seconds = settings.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < settings.Length; i++)
            {
                seconds[i].Add(Measure(settings[i].Lanes, settings[i].BlockBytes));
            }
        }

        return settings.Select((setting, i) => (setting.Lanes, setting.BlockBytes, Statistic.Of(seconds[i]).Median)).MinBy(tried => tried.Median);
    }

    public void Dispose()
    {
        _memory.Dispose();
        foreach (var file in _files)
        {
            file.Dispose();
        }
    }
}
