using System.Diagnostics;
using System.Security.Cryptography;

namespace IlgpuLoader.Harness;

/// <summary>What SHA-256 costs by itself: each thread hashes a block that is in its cache again and again. Nothing of the loader is in it.</summary>
internal static class HashYardstick
{
    // Fits a second-level cache, as what is hashed right after it was read does.
    private const int BlockBytes = 256 << 10;

    /// <summary>Hashes so many bytes.</summary>
    /// <param name="bytes">The bytes of all threads together.</param>
    /// <returns>The seconds it took.</returns>
    public static double Measure(long bytes)
    {
        var threads = Environment.ProcessorCount;
        var started = Stopwatch.GetTimestamp();
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ =>
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var block = new byte[BlockBytes];
            for (long done = 0; done < bytes / threads; done += block.Length)
            {
                hash.AppendData(block);
            }
        });
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
