using System.Diagnostics;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Loading;

/// <summary>Limits of the memory itself. Each gives the seconds that it took.</summary>
internal static unsafe class MemoryYardsticks
{
    /// <summary>The first touch of fresh memory, every page made present by as many threads as there are lanes.</summary>
    /// <param name="bytes">The size.</param>
    /// <param name="lanes">The threads.</param>
    /// <param name="most">The most memory that is taken, more than none: more is measured on that much, and scaled.</param>
    /// <param name="cancellationToken">Asked for every piece of 16 MiB.</param>
    public static double FirstTouch(long bytes, int lanes, long most, CancellationToken cancellationToken)
    {
        var taken = Math.Min(bytes, most);
        if (taken == 0)
        {
            return 0;
        }

        var started = Stopwatch.GetTimestamp();
        using var memory = new YardstickMemory(taken);
        memory.Touch(lanes, cancellationToken);
        return Stopwatch.GetElapsedTime(started).TotalSeconds * bytes / taken;
    }

    /// <summary>A fill of touched memory with stores past the caches, by several threads.</summary>
    public static double StreamingFill(YardstickMemory memory, int lanes, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        memory.InPieces(lanes, (offset, length) => Fill(memory.Start + offset, length), cancellationToken);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>A copy from touched memory to touched memory of the same size, by several threads.</summary>
    public static double Copy(YardstickMemory from, YardstickMemory to, int lanes, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        from.InPieces(lanes, (offset, length) => from.AsSpan(offset, length).CopyTo(to.AsSpan(offset, length)), cancellationToken);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static void Fill(byte* start, int length)
    {
        // Pieces begin on multiples of 16 MiB of memory that is aligned to more than a vector.
        var value = Vector512.Create(0.5f).AsByte();
        for (var i = 0; i + Vector512<byte>.Count <= length; i += Vector512<byte>.Count)
        {
            value.StoreAlignedNonTemporal(start + i);
        }
    }
}
