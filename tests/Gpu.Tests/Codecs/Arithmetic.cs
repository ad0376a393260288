using System.Numerics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// What the conversions mean, by arithmetic on exact numbers: values are sums of powers of two, rounding is a division by a
/// power of two and <see cref="Math.Round(double, MidpointRounding)"/>. Nothing here is taken from the code under test.
/// </summary>
internal static class Arithmetic
{
    /// <summary>A float format: bits of exponent and of mantissa.</summary>
    internal readonly record struct Format(int Exponent, int Mantissa)
    {
        public int Bias => (1 << (Exponent - 1)) - 1;

        public int LargestExponent => (1 << Exponent) - 1;

        public ulong MantissaMask => (1UL << Mantissa) - 1;

        public ulong Infinity => (ulong)LargestExponent << Mantissa;

        public ulong Quiet => 1UL << (Mantissa - 1);

        public ulong Sign => 1UL << (Exponent + Mantissa);
    }

    public static Format FormatOf(DType dtype) => dtype switch
    {
        DType.F16 => new(5, 10),
        DType.BF16 => new(8, 7),
        DType.F32 => new(8, 23),
        DType.F64 => new(11, 52),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    public static bool IsNaN(ulong bits, Format format) => (bits & ~format.Sign) > format.Infinity;

    /// <summary>The number that finite or infinite bits stand for.</summary>
    public static double Value(ulong bits, Format format)
    {
        var exponent = (int)(bits >> format.Mantissa) & format.LargestExponent;
        double mantissa = bits & format.MantissaMask;
        var magnitude = exponent == format.LargestExponent
            ? double.PositiveInfinity
            : exponent == 0
                ? Math.ScaleB(mantissa, 1 - format.Bias - format.Mantissa)
                : Math.ScaleB(Math.ScaleB(1, format.Mantissa) + mantissa, exponent - format.Bias - format.Mantissa);
        return (bits & format.Sign) != 0 ? -magnitude : magnitude;
    }

    /// <summary>The bits of the format's value nearest to <paramref name="value"/>, ties to even; not for NaN.</summary>
    public static ulong Nearest(double value, Format format)
    {
        var sign = double.IsNegative(value) ? format.Sign : 0;
        var magnitude = Math.Abs(value);
        if (magnitude == 0 || double.IsInfinity(magnitude))
        {
            return sign | (magnitude == 0 ? 0 : format.Infinity);
        }

        // Bits of neighbouring values are neighbouring integers, so the count of quanta in the value's binade is all it takes.
        var exponent = Math.Max(Math.ILogB(magnitude), 1 - format.Bias);
        var quanta = Math.Round(Math.ScaleB(magnitude, format.Mantissa - exponent), MidpointRounding.ToEven);
        var bits = (Math.Max(exponent + format.Bias - 1L, 0) << format.Mantissa) + (long)quanta;
        return sign | Math.Min((ulong)bits, format.Infinity);
    }

    /// <summary>Converts bits of one format into another, NaN by the house's rule.</summary>
    public static ulong Convert(ulong bits, DType from, DType to)
    {
        if (from == to)
        {
            return bits;
        }

        if (to != DType.F32 && (from == DType.F64 || IsEight(from) || (IsEight(to) && from != DType.F32)))
        {
            // As PyTorch does: through F32, for F64 with two roundings.
            return Convert(Convert(bits, from, DType.F32), DType.F32, to);
        }

        if (IsEight(from))
        {
            return FromEight(bits, from);
        }

        if (IsEight(to))
        {
            return ToEight(bits, to);
        }

        var source = FormatOf(from);
        var target = FormatOf(to);

        if (!IsNaN(bits, source))
        {
            return Nearest(Value(bits, source), target);
        }

        var sign = (bits & source.Sign) != 0 ? target.Sign : 0;
        var payload = bits & source.MantissaMask;
        var shift = target.Mantissa - source.Mantissa;
        payload = shift >= 0 ? payload << shift : payload >> -shift;

        // BF16 widens to F32 as it is; everything else is made quiet. F64 is reached through F32 and quiet in any case.
        var quiet = from == DType.BF16 && to == DType.F32 ? 0 : target.Quiet;
        return sign | target.Infinity | payload | quiet;
    }

    // E8M0 has an exponent and nothing else; the others are tables.
    private static ulong FromEight(ulong bits, DType from) => from != DType.F8_E8M0
        ? FloatTable.Of(from).ToSingle(bits)
        : bits == 0xFF ? 0x7FC0_0000 : BitConverter.SingleToUInt32Bits((float)Math.ScaleB(1, (int)bits - 127));

    // PyTorch's NaN (c10/util/Float8_*.h): all ones with the sign, or the only one there is.
    private static ulong ToEight(ulong bits, DType to) => IsNaN(bits, FormatOf(DType.F32))
        ? to is DType.F8_E4M3FNUZ or DType.F8_E5M2FNUZ ? 0x80 : 0x7F | ((bits >> 24) & 0x80)
        : FloatTable.Of(to).Nearest(Value(bits, FormatOf(DType.F32)));

    private static bool IsEight(DType dtype) => dtype.BlockSize == 1;

    /// <summary>The integer rounded to <paramref name="bits"/> significant bits, ties to even.</summary>
    public static BigInteger RoundToBits(BigInteger value, int bits)
    {
        var magnitude = BigInteger.Abs(value);
        var excess = (int)magnitude.GetBitLength() - bits;
        if (excess <= 0)
        {
            return value;
        }

        var quantum = BigInteger.One << excess;
        var (quanta, rest) = BigInteger.DivRem(magnitude, quantum);
        var twice = rest * 2;
        if (twice > quantum || (twice == quantum && !quanta.IsEven))
        {
            quanta++;
        }

        return value.Sign * quanta * quantum;
    }
}
