using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Harness;

/// <summary>Limits of the memory itself.</summary>
internal static class MemoryYardsticks
{
    /// <summary>The first touch of fresh memory, every page made present by as many threads as there are lanes.</summary>
    /// <returns>The seconds it took.</returns>
    public static double FirstTouch(long bytes, int lanes)
    {
        using var memory = (HostMemory)HostDevice.Shared.Allocate(bytes);
        return InParallel(bytes, lanes, (offset, length) => memory.Populate(offset, length));
    }

    /// <summary>A fill of touched memory with streaming stores.</summary>
    /// <returns>The seconds it took.</returns>
    public static double StreamingFill(HostMemory memory, int lanes) => InParallel(memory.Length, lanes, (offset, length) => Fill(memory, offset, length));

    private static double InParallel(long bytes, int lanes, Action<long, int> work)
    {
        const int piece = 16 << 20;
        long next = 0;
        var started = Stopwatch.GetTimestamp();
        var threads = Enumerable.Range(0, lanes).Select(_ => new Thread(() =>
        {
            long offset;
            while ((offset = Interlocked.Add(ref next, piece) - piece) < bytes)
            {
                work(offset, (int)Math.Min(piece, bytes - offset));
            }
        })).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static unsafe void Fill(HostMemory memory, long offset, int length)
    {
        // Blocks of the loader's memory begin on at least 64 bytes, and pieces are multiples of it.
        var start = (byte*)Unsafe.AsPointer(ref memory.AsSpan(offset, length)[0]);
        var value = Vector512.Create(0.5f).AsByte();
        for (var i = 0; i + Vector512<byte>.Count <= length; i += Vector512<byte>.Count)
        {
            value.StoreAlignedNonTemporal(start + i);
        }
    }
}
