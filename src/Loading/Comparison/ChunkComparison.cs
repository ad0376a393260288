using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Compares two chunks that lie in the processor's first cache.</summary>
internal static class ChunkComparison
{
    /// <summary>Compares values that doubles hold exactly.</summary>
    /// <param name="counts">Where the differences are added.</param>
    /// <param name="left">The first values.</param>
    /// <param name="right">As many second values.</param>
    /// <param name="firstIndex">The index of the first of them.</param>
    /// <param name="leftType">The type of the first values.</param>
    /// <param name="rightType">The type of the second values.</param>
    public static void Compare(
        ref DifferenceCounts counts, ReadOnlySpan<double> left, ReadOnlySpan<double> right, long firstIndex, DType leftType, DType rightType)
    {
        var (largest, relative) = (Vector512<double>.Zero, Vector512<double>.Zero);
        var found = new DifferenceCounts();
        ref var a0 = ref MemoryMarshal.GetReference(left);
        ref var b0 = ref MemoryMarshal.GetReference(right);
        var vectored = left.Length / Vector512<double>.Count * Vector512<double>.Count;
        for (nuint i = 0; i < (nuint)vectored; i += (nuint)Vector512<double>.Count)
        {
            var a = Vector512.LoadUnsafe(ref a0, i);
            var b = Vector512.LoadUnsafe(ref b0, i);
            var (numberA, numberB) = (Vector512.Equals(a, a), Vector512.Equals(b, b));
            found.Different += Count(~(Vector512.Equals(a, b) | ~(numberA | numberB)));
            found.NaNAppeared += Count(numberA & ~numberB);
            found.NaNDisappeared += Count(numberB & ~numberA);
            // NaN, also from infinities or zeros on both sides, is larger than nothing and so left out.
            var absolute = Vector512.Abs(a - b);
            var share = absolute / Vector512.MaxNative(Vector512.Abs(a), Vector512.Abs(b));
            largest = Vector512.ConditionalSelect(Vector512.GreaterThan(absolute, largest), absolute, largest);
            relative = Vector512.ConditionalSelect(Vector512.GreaterThan(share, relative), share, relative);
        }

        var (most, mostRelative) = (0.0, 0.0);
        for (var lane = 0; lane < Vector512<double>.Count; lane++)
        {
            most = Math.Max(most, largest[lane]);
            mostRelative = Math.Max(mostRelative, relative[lane]);
        }

        if (double.IsInfinity(most))
        {
            // Infinities, or numbers too far apart for a double: one by one, as the definition says.
            AddOneByOne(ref counts, left, right, firstIndex, leftType, rightType);
            return;
        }

        if (most > 0)
        {
            found.Largest = most;
            found.LargestRelative = mostRelative;
            if (most > counts.Largest)
            {
                var at = IndexOf(left, right, most);
                (found.LargestIndex, found.Left, found.Right) =
                    (firstIndex + at, new StoredValue(leftType, left[at]), new StoredValue(rightType, right[at]));
            }
        }

        counts.Add(found);
        AddOneByOne(ref counts, left[vectored..], right[vectored..], firstIndex + vectored, leftType, rightType);
    }

    /// <summary>Counts the elements whose stored bytes differ, of types with one value an element.</summary>
    public static long CountDifferentElements(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, int elementSize) => elementSize switch
    {
        1 => CountDifferent(left, right),
        2 => CountDifferent(MemoryMarshal.Cast<byte, ushort>(left), MemoryMarshal.Cast<byte, ushort>(right)),
        4 => CountDifferent(MemoryMarshal.Cast<byte, uint>(left), MemoryMarshal.Cast<byte, uint>(right)),
        8 => CountDifferent(MemoryMarshal.Cast<byte, ulong>(left), MemoryMarshal.Cast<byte, ulong>(right)),
        _ => throw new ArgumentOutOfRangeException(nameof(elementSize)),
    };

    /// <summary>Counts the groups of values whose stored bytes differ although no value of the group does.</summary>
    public static long CountBytesOnly(
        ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, int groupSize, ReadOnlySpan<double> leftValues, ReadOnlySpan<double> rightValues)
    {
        var count = 0L;
        var valuesPerGroup = leftValues.Length / (left.Length / groupSize);
        for (var group = 0; group < left.Length / groupSize; group++)
        {
            if (!left.Slice(group * groupSize, groupSize).SequenceEqual(right.Slice(group * groupSize, groupSize)))
            {
                var differ = false;
                for (var i = group * valuesPerGroup; i < (group + 1) * valuesPerGroup; i++)
                {
                    // Equals takes two NaN for equal, and == the two zeros.
                    differ |= leftValues[i] != rightValues[i] && !leftValues[i].Equals(rightValues[i]);
                }

                count += differ ? 0 : 1;
            }
        }

        return count;
    }

    private static void AddOneByOne(
        ref DifferenceCounts counts, ReadOnlySpan<double> left, ReadOnlySpan<double> right, long firstIndex, DType leftType, DType rightType)
    {
        for (var i = 0; i < left.Length; i++)
        {
            counts.Add(firstIndex + i, new StoredValue(leftType, left[i]), new StoredValue(rightType, right[i]));
        }
    }

    private static int IndexOf(ReadOnlySpan<double> left, ReadOnlySpan<double> right, double difference)
    {
        var at = 0;
        while (Math.Abs(left[at] - right[at]) != difference)
        {
            at++;
        }

        return at;
    }

    private static int Count(Vector512<double> mask) => BitOperations.PopCount(mask.ExtractMostSignificantBits());

    private static long CountDifferent<T>(ReadOnlySpan<T> left, ReadOnlySpan<T> right)
        where T : unmanaged, IEquatable<T>
    {
        var count = 0L;
        var i = 0;
        for (; i <= left.Length - Vector512<T>.Count; i += Vector512<T>.Count)
        {
            var equal = Vector512.Equals(Vector512.Create(left.Slice(i, Vector512<T>.Count)), Vector512.Create(right.Slice(i, Vector512<T>.Count)));
            count += Vector512<T>.Count - BitOperations.PopCount(equal.ExtractMostSignificantBits());
        }

        for (; i < left.Length; i++)
        {
            count += left[i].Equals(right[i]) ? 0 : 1;
        }

        return count;
    }
}
