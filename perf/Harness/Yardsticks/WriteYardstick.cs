using System.Diagnostics;

namespace IlgpuLoader.Harness;

/// <summary>
/// What writing costs by itself: plain positional writes of a block that is in the cache, into new files that take their
/// space first, forced to disk at the end. Nothing of the loader is in it.
/// </summary>
internal static class WriteYardstick
{
    private const int BlockBytes = 4 << 20;

    /// <summary>Writes files of these sizes and removes them again, which is not counted.</summary>
    /// <param name="folder">Where; on the disk that is measured.</param>
    /// <param name="sizes">The sizes in bytes.</param>
    /// <param name="lanes">How many threads write to one file side by side.</param>
    /// <returns>The seconds it took.</returns>
    public static double Measure(string folder, IReadOnlyList<long> sizes, int lanes)
    {
        Directory.CreateDirectory(folder);
        var block = new byte[BlockBytes];
        new Random(1).NextBytes(block);
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < sizes.Count; i++)
        {
            var size = sizes[i];
            using var file = File.OpenHandle(
                Path.Combine(folder, $"{i}.bin"), FileMode.Create, FileAccess.Write, FileShare.None, preallocationSize: size);
            long next = 0;
            var threads = new Thread[lanes];
            for (var lane = 0; lane < lanes; lane++)
            {
                threads[lane] = new Thread(() =>
                {
                    long offset;
                    while ((offset = Interlocked.Add(ref next, BlockBytes) - BlockBytes) < size)
                    {
                        RandomAccess.Write(file, block.AsSpan(0, (int)Math.Min(BlockBytes, size - offset)), offset);
                    }
                });
                threads[lane].Start();
            }

            foreach (var thread in threads)
            {
                thread.Join();
            }

            RandomAccess.FlushToDisk(file);
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        Directory.Delete(folder, recursive: true);
        return seconds;
    }
}
