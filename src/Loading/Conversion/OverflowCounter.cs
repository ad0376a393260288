using System.Buffers;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Counts finite values that a conversion could not keep finite.</summary>
internal static class OverflowCounter
{
    // Values compared at a time; whole blocks of every type.
    private const int ValuesAtATime = 4096;

    /// <summary>Counts values that are finite as stored and are not as converted.</summary>
    /// <param name="stored">Whole elements or blocks.</param>
    /// <param name="from">Their dtype.</param>
    /// <param name="converted">The same values converted.</param>
    /// <param name="to">Their dtype: a float that codecs convert to.</param>
    public static long Count(ReadOnlySpan<byte> stored, DType from, ReadOnlySpan<byte> converted, DType to)
    {
        // Almost always nothing is infinite or NaN, which one vectorised look tells.
        if (AllFinite(converted, to))
        {
            return 0;
        }

        var (source, target) = (Codecs.Of(from), Codecs.Of(to));

        const int bytes = ValuesAtATime * sizeof(double);
        var before = ArrayPool<byte>.Shared.Rent(bytes);
        var after = ArrayPool<byte>.Shared.Rent(bytes);
        try
        {
            long count = 0;
            while (!stored.IsEmpty)
            {
                var storedPart = stored[..(int)Math.Min(stored.Length, from.ByteCount(ValuesAtATime))];
                var convertedPart = converted[..(int)Math.Min(converted.Length, to.ByteCount(ValuesAtATime))];
                var values = convertedPart.Length / to.BlockSize;
                source.Decode(storedPart, before.AsSpan(0, values * sizeof(double)), DType.F64);
                target.Decode(convertedPart, after.AsSpan(0, values * sizeof(double)), DType.F64);
                var wanted = MemoryMarshal.Cast<byte, double>(before);
                var got = MemoryMarshal.Cast<byte, double>(after);
                for (var i = 0; i < values; i++)
                {
                    count += double.IsFinite(wanted[i]) && !double.IsFinite(got[i]) ? 1 : 0;
                }

                stored = stored[storedPart.Length..];
                converted = converted[convertedPart.Length..];
            }

            return count;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(before);
            ArrayPool<byte>.Shared.Return(after);
        }
    }

    // The codes of infinity and NaN: the largest exponent, or where a type has no infinity the codes it spends on NaN.
    private static bool AllFinite(ReadOnlySpan<byte> values, DType dtype) => dtype switch
    {
        DType.F8_E4M3 => !values.ContainsAny((byte)0x7F, (byte)0xFF),
        DType.F8_E5M2 => !values.ContainsAnyInRange((byte)0x7C, (byte)0x7F) && !values.ContainsAnyInRange((byte)0xFC, (byte)0xFF),
        DType.F8_E4M3FNUZ or DType.F8_E5M2FNUZ => !values.Contains((byte)0x80),
        DType.F16 => AllBelow<ushort>(values, 0x7C00, 0x7FFF, 0xFC00, 0xFFFF),
        DType.BF16 => AllBelow<ushort>(values, 0x7F80, 0x7FFF, 0xFF80, 0xFFFF),
        DType.F32 => AllBelow(values, 0x7F80_0000u, 0x7FFF_FFFFu, 0xFF80_0000u, uint.MaxValue),

        // Nothing is beyond a double.
        _ => true,
    };

    private static bool AllBelow<T>(ReadOnlySpan<byte> values, T infinity, T last, T negativeInfinity, T lastNegative)
        where T : unmanaged, IComparable<T>
    {
        var codes = MemoryMarshal.Cast<byte, T>(values);
        return !codes.ContainsAnyInRange(infinity, last) && !codes.ContainsAnyInRange(negativeInfinity, lastNegative);
    }
}
