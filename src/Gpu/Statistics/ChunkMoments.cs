using System.Buffers;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The moments of a chunk that lies in the processor's first cache: one pass for sum, extremes and zeros, a second for the
/// deviations from the mean, both in doubles.
/// </summary>
/// <remarks>
/// Written once for vectors of 512 bits, which narrower processors run as two or four halves: lane by lane the same
/// additions in the same order, so that the result has the same bits on all of them and on other devices
/// (<see cref="DeviceStream.Summarise"/>). No fused multiply-add for that reason. Safe for any thread.
/// </remarks>
public static class ChunkMoments
{
    /// <summary>
    /// The sums that are kept side by side: the element i of a chunk adds to the sum i mod 32, and what is left over of a chunk
    /// to their sum, in order. Four times eight lanes: an addition takes four cycles, so fewer would wait for one another.
    /// </summary>
    internal const int Step = 32;

    /// <summary>The moments of some floats.</summary>
    public static Moments Of(ReadOnlySpan<float> values) => Of<float, SingleLanes>(values);

    /// <summary>The moments of some doubles.</summary>
    public static Moments Of(ReadOnlySpan<double> values) => Of<double, DoubleLanes>(values);

    /// <summary>The moments of values chunk by chunk.</summary>
    /// <param name="bytes">The values, of any alignment.</param>
    /// <param name="dtype">F32 or F64.</param>
    /// <param name="chunks">Receives as many as <see cref="Moments.CountChunks"/> says.</param>
    internal static void OfChunks(ReadOnlySpan<byte> bytes, DType dtype, Span<Moments> chunks)
    {
        var most = Moments.ChunkLength * dtype.BlockSize;
        foreach (ref var chunk in chunks)
        {
            var values = bytes[..Math.Min(most, bytes.Length)];
            bytes = bytes[values.Length..];
            chunk = dtype == DType.F32 ? Of(MemoryMarshal.Cast<byte, float>(values)) : Of(MemoryMarshal.Cast<byte, double>(values));
        }
    }

    /// <summary>Loads 16 values as doubles.</summary>
    private interface ILanes<T>
    {
        static abstract void Load(ref T source, out Vector512<double> lower, out Vector512<double> upper);
    }

    private readonly struct SingleLanes : ILanes<float>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Load(ref float source, out Vector512<double> lower, out Vector512<double> upper)
        {
            var values = Vector512.LoadUnsafe(ref source);
            lower = Vector512.WidenLower(values);
            upper = Vector512.WidenUpper(values);
        }
    }

    private readonly struct DoubleLanes : ILanes<double>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Load(ref double source, out Vector512<double> lower, out Vector512<double> upper)
        {
            lower = Vector512.LoadUnsafe(ref source);
            upper = Vector512.LoadUnsafe(ref source, 8);
        }
    }

    private static Moments Of<T, TLanes>(ReadOnlySpan<T> values)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TLanes : struct, ILanes<T>
    {
        if (values.IsEmpty)
        {
            return new Moments();
        }

        var sum = Sum<T, TLanes>(values, out var minimum, out var maximum, out var zeros);
        return double.IsFinite(sum)
            ? OfFinite<T, TLanes>(values, sum / values.Length, minimum, maximum, zeros)
            : OfOdd<T, TLanes>(values);
    }

    // Some values are not finite, or their sum is too large to be.
    private static Moments OfOdd<T, TLanes>(ReadOnlySpan<T> values)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TLanes : struct, ILanes<T>
    {
        var buffer = ArrayPool<T>.Shared.Rent(values.Length);
        try
        {
            var finite = CopyFinite(values, buffer, out var others);
            if (finite.IsEmpty)
            {
                return others;
            }

            var sum = Sum<T, TLanes>(finite, out var minimum, out var maximum, out var zeros);
            // A sum of finite doubles can be too large where their mean is not.
            var mean = double.IsFinite(sum) ? sum / finite.Length : MeanOfHuge(finite);
            return OfFinite<T, TLanes>(finite, mean, minimum, maximum, zeros) with
            {
                NaN = others.NaN,
                PositiveInfinities = others.PositiveInfinities,
                NegativeInfinities = others.NegativeInfinities,
            };
        }
        finally
        {
            ArrayPool<T>.Shared.Return(buffer);
        }
    }

    private static Moments OfFinite<T, TLanes>(ReadOnlySpan<T> values, double mean, double minimum, double maximum, long zeros)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TLanes : struct, ILanes<T>
    {
        var squares = Deviations<T, TLanes>(values, mean, out var rest);
        return new ChunkSums(values.Length, mean, squares, rest, minimum, maximum, zeros).ToMoments();
    }

    private static double Sum<T, TLanes>(ReadOnlySpan<T> values, out double minimum, out double maximum, out long zeros)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TLanes : struct, ILanes<T>
    {
        ref var source = ref MemoryMarshal.GetReference(values);
        var (sum0, sum1, sum2, sum3) = (Vector512<double>.Zero, Vector512<double>.Zero, Vector512<double>.Zero, Vector512<double>.Zero);
        var low = Vector512.Create(double.PositiveInfinity);
        var high = Vector512.Create(double.NegativeInfinity);
        var (low1, high1) = (low, high);
        var zero0 = Vector512<long>.Zero;
        var zero1 = Vector512<long>.Zero;
        nint i = 0;
        for (; i <= values.Length - Step; i += Step)
        {
            TLanes.Load(ref Unsafe.Add(ref source, i), out var a, out var b);
            TLanes.Load(ref Unsafe.Add(ref source, i + 16), out var c, out var d);
            sum0 += a;
            sum1 += b;
            sum2 += c;
            sum3 += d;
            low = Vector512.MinNative(low, Vector512.MinNative(a, c));
            low1 = Vector512.MinNative(low1, Vector512.MinNative(b, d));
            high = Vector512.MaxNative(high, Vector512.MaxNative(a, c));
            high1 = Vector512.MaxNative(high1, Vector512.MaxNative(b, d));
            zero0 += Vector512.Equals(a, Vector512<double>.Zero).AsInt64() + Vector512.Equals(c, Vector512<double>.Zero).AsInt64();
            zero1 += Vector512.Equals(b, Vector512<double>.Zero).AsInt64() + Vector512.Equals(d, Vector512<double>.Zero).AsInt64();
        }

        // The rest of a chunk adds to single lanes, in order.
        var total = AddLanes(sum0 + sum1 + (sum2 + sum3));
        minimum = double.PositiveInfinity;
        maximum = double.NegativeInfinity;
        for (var lane = 0; lane < Vector512<double>.Count; lane++)
        {
            minimum = Math.Min(minimum, Math.Min(low[lane], low1[lane]));
            maximum = Math.Max(maximum, Math.Max(high[lane], high1[lane]));
        }

        zeros = -Vector512.Sum(zero0 + zero1);
        for (; i < values.Length; i++)
        {
            var value = double.CreateTruncating(Unsafe.Add(ref source, i));
            total += value;
            minimum = Math.Min(minimum, value);
            maximum = Math.Max(maximum, value);
            zeros += value == 0 ? 1 : 0;
        }

        return total;
    }

    private static double Deviations<T, TLanes>(ReadOnlySpan<T> values, double mean, out double rest)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TLanes : struct, ILanes<T>
    {
        ref var source = ref MemoryMarshal.GetReference(values);
        var center = Vector512.Create(mean);
        var (square0, square1, square2, square3) = (Vector512<double>.Zero, Vector512<double>.Zero, Vector512<double>.Zero, Vector512<double>.Zero);
        var (rest0, rest1, rest2, rest3) = (square0, square1, square2, square3);
        nint i = 0;
        for (; i <= values.Length - Step; i += Step)
        {
            TLanes.Load(ref Unsafe.Add(ref source, i), out var a, out var b);
            TLanes.Load(ref Unsafe.Add(ref source, i + 16), out var c, out var d);
            a -= center;
            b -= center;
            c -= center;
            d -= center;
            rest0 += a;
            rest1 += b;
            rest2 += c;
            rest3 += d;
            square0 += a * a;
            square1 += b * b;
            square2 += c * c;
            square3 += d * d;
        }

        var squares = AddLanes(square0 + square1 + (square2 + square3));
        rest = AddLanes(rest0 + rest1 + (rest2 + rest3));
        for (; i < values.Length; i++)
        {
            var deviation = double.CreateTruncating(Unsafe.Add(ref source, i)) - mean;
            rest += deviation;
            squares += deviation * deviation;
        }

        return squares;
    }

    // In an order of its own: the framework's depends on the processor.
    private static double AddLanes(Vector512<double> lanes) =>
        lanes[0] + lanes[4] + (lanes[2] + lanes[6]) + (lanes[1] + lanes[5] + (lanes[3] + lanes[7]));

    private static ReadOnlySpan<T> CopyFinite<T>(ReadOnlySpan<T> values, Span<T> buffer, out Moments others)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (finite, notANumber, positive, negative) = (0, 0, 0, 0);
        foreach (var value in values)
        {
            if (T.IsFinite(value))
            {
                buffer[finite++] = value;
            }
            else if (T.IsNaN(value))
            {
                notANumber++;
            }
            else if (T.IsPositive(value))
            {
                positive++;
            }
            else
            {
                negative++;
            }
        }

        others = new Moments { NaN = notANumber, PositiveInfinities = positive, NegativeInfinities = negative };
        return buffer[..finite];
    }

    private static double MeanOfHuge<T>(ReadOnlySpan<T> values)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        var mean = 0.0;
        foreach (var value in values)
        {
            mean += double.CreateTruncating(value) / values.Length;
        }

        return mean;
    }
}
