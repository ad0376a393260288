using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Drives a conversion between two float types over vectors: width, head, body, tail and streaming, once for all pairs.
/// Source and destination must not overlap; neither needs any alignment.
/// </summary>
internal static unsafe class VectorConversion
{
    /// <summary>
    /// Where streaming stores begin, for narrower vectors too: the stores of neighbouring steps then fill whole lines, and
    /// none leaves the processor half-filled. Common to x64 and Arm64; where lines are longer, only speed is lost.
    /// </summary>
    public const int CacheLine = 64;

    /// <summary>Runs the widest path the processor has, or returns false where it has none.</summary>
    public static bool TryRunWidest<TSource, TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Run<Width512, TSource, TTarget>(source, destination, count, bypassCache);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Run<Width256, TSource, TTarget>(source, destination, count, bypassCache);
        }
        else if (Vector128.IsHardwareAccelerated)
        {
            Run<Width128, TSource, TTarget>(source, destination, count, bypassCache);
        }
        else
        {
            return false;
        }

        return true;
    }

    /// <summary>Converts <paramref name="count"/> values with vectors of one width.</summary>
    /// <param name="source">The first value; any alignment.</param>
    /// <param name="destination">Where the first result goes; any alignment.</param>
    /// <param name="count">How many values.</param>
    /// <param name="bypassCache">
    /// Whether to use streaming stores. Where the destination is not even aligned to its own values no step ever is, and
    /// cached stores are used.
    /// </param>
    public static void Run<TWidth, TSource, TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
        where TWidth : struct, IVectorWidth
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
    {
        nint step = TWidth.Bytes / 2;
        if (count < step)
        {
            TWidth.RunShort<TSource, TTarget>(source, destination, count);
            return;
        }

        // The first step stands before the loops, not in them: its constants are then in registers when a loop begins, which
        // the JIT does not do for a loop alone.
        TWidth.Step<TSource, TTarget, CachedStores>(source, destination);
        var done = step;
        nint boundary = (-(nint)destination & (CacheLine - 1)) / TTarget.Size;
        if (bypassCache && (nuint)destination % (nuint)TTarget.Size == 0 && boundary <= count - step)
        {
            // The last step of the head may pass the boundary; the body then writes the same values again.
            for (; done < boundary; done += step)
            {
                TWidth.Step<TSource, TTarget, CachedStores>(source + (done * TSource.Size), destination + (done * TTarget.Size));
            }

            done = RunBody<TWidth, TSource, TTarget, StreamingStores>(source, destination, boundary, count);
            OrderStreamingStores();
        }
        else
        {
            done = RunBody<TWidth, TSource, TTarget, CachedStores>(source, destination, step, count);
        }

        if (done < count)
        {
            // The tail is the last whole step, partly done before.
            done = count - step;
            TWidth.Step<TSource, TTarget, CachedStores>(source + (done * TSource.Size), destination + (done * TTarget.Size));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint RunBody<TWidth, TSource, TTarget, TStores>(byte* source, byte* destination, nint done, nint count)
        where TWidth : struct, IVectorWidth
        where TSource : struct, IVectorSource
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores
    {
        nint step = TWidth.Bytes / 2;
        for (; done <= count - step; done += step)
        {
            TWidth.Step<TSource, TTarget, TStores>(source + (done * TSource.Size), destination + (done * TTarget.Size));
        }

        return done;
    }

    /// <summary>
    /// Streaming stores are not ordered with later ones on x64: without the fence, another thread (or a device) that was told
    /// that the values are there could still read the old ones.
    /// </summary>
    public static void OrderStreamingStores()
    {
        if (Sse.IsSupported)
        {
            Sse.StoreFence();
        }
        else
        {
            Interlocked.MemoryBarrier();
        }
    }
}
