using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What stored numbers mean, by arithmetic on doubles: nothing here is taken from the code under test.</summary>
internal static class SchemeOracle
{
    /// <summary>A stored number.</summary>
    public static double Stored(ReadOnlySpan<byte> bytes, long index, DType dtype) => dtype switch
    {
        DType.I8 => (sbyte)bytes[(int)index],
        DType.F32 => BitConverter.ToSingle(bytes[((int)index * 4)..]),
        DType.F16 => (double)BitConverter.ToHalf(bytes[((int)index * 2)..]),
        DType.BF16 => BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(bytes[((int)index * 2)..]) << 16),
        DType.F8_E4M3 => Small(bytes[(int)index], 3, 7, 0x7F),
        DType.F8_E5M2 => (double)BitConverter.UInt16BitsToHalf((ushort)(bytes[(int)index] << 8)),
        DType.F8_E4M3FNUZ => bytes[(int)index] == 0x80 ? double.NaN : Small(bytes[(int)index], 3, 8, 0x80),
        DType.F8_E5M2FNUZ => bytes[(int)index] == 0x80 ? double.NaN : Small(bytes[(int)index], 2, 16, 0x80),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    /// <summary>The bytes of a value that was computed in F32 and is rounded to a type. Finite values only.</summary>
    public static byte[] Rounded(double value, DType dtype)
    {
        var single = (float)value;
        return dtype switch
        {
            DType.F32 => BitConverter.GetBytes(single),
            DType.F16 => BitConverter.GetBytes((Half)single),
            DType.BF16 => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits((float)RoundTo(single, 7, -126)) >> 16)),
            DType.F8_E4M3 => [Code(RoundTo(single, 3, -6))],
            _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
        };
    }

    // To the nearest multiple of the last place's unit, ties to even.
    private static double RoundTo(double value, int mantissaBits, int leastExponent)
    {
        if (value == 0 || !double.IsFinite(value))
        {
            return value;
        }

        var unit = Math.ScaleB(1, Math.Max(Math.ILogB(value), leastExponent) - mantissaBits);
        return Math.Round(value / unit, MidpointRounding.ToEven) * unit;
    }

    // By trying all.
    private static byte Code(double value)
    {
        for (var code = 0; code < 256; code++)
        {
            var number = Small((byte)code, 3, 7, 0x7F);
            if (number.Equals(value) && double.IsNegative(number) == double.IsNegative(value))
            {
                return (byte)code;
            }
        }

        // Above 464.
        return (byte)(double.IsNegative(value) ? 0xFF : 0x7F);
    }

    private static double Small(byte code, int mantissaBits, int bias, int notANumber)
    {
        if ((code & 0x7F) == notANumber)
        {
            return double.NaN;
        }

        var exponent = (code & 0x7F) >> mantissaBits;
        var mantissa = code & ((1 << mantissaBits) - 1);
        var magnitude = exponent == 0
            ? Math.ScaleB(mantissa, 1 - bias - mantissaBits)
            : Math.ScaleB((1 << mantissaBits) + mantissa, exponent - bias - mantissaBits);
        return (code & 0x80) == 0 ? magnitude : -magnitude;
    }
}
