using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The rules for converting floats, on bits: round to nearest even, subnormals kept, and every NaN's bits defined. Host and
/// devices run these same methods; thread-safe.
/// </summary>
/// <remarks>
/// Results are PyTorch's for numbers (c10/util/Half.h, BFloat16.h). For NaN: widening F16 shifts the payload and sets the
/// quiet bit, widening BF16 keeps the bits, narrowing keeps sign and upper payload and sets the quiet bit. The conditional
/// expressions are selects, not jumps, on the JIT and in PTX.
/// </remarks>
public static partial class FloatBits
{
    private const int SingleInfinity = 0x7F80_0000;
    private const int SingleQuiet = 0x0040_0000;
    private const int SingleMagnitude = int.MaxValue;

    // Exponents are biased by 15 in F16 and by 127 in F32.
    private const int RebiasHalf = (127 - 15) << 23;
    private const int SmallestNormalHalf = (127 - 14) << 23;

    private const long DoubleInfinity = 0x7FF0_0000_0000_0000;
    private const long DoubleQuiet = 0x0008_0000_0000_0000;

    /// <summary>F16 to F32, exactly; a NaN becomes quiet.</summary>
    /// <param name="half">The bits of the F16, zero-extended.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int HalfToSingle(int half)
    {
        var magnitude = (half & 0x7FFF) << 13;
        var sign = (half & 0x8000) << 16;

        // A subnormal's mantissa under the exponent of 2^-14 is 2^-14 too much; taking that away normalises it exactly.
        var subnormal = BitConverter.SingleToInt32Bits(
            BitConverter.Int32BitsToSingle(magnitude + SmallestNormalHalf) - BitConverter.Int32BitsToSingle(SmallestNormalHalf));
        var bits = magnitude < 0x0080_0000 ? subnormal : magnitude + RebiasHalf;
        bits = magnitude >= 0x0F80_0000 ? magnitude | SingleInfinity : bits;
        bits = magnitude > 0x0F80_0000 ? bits | SingleQuiet : bits;
        return sign | bits;
    }

    /// <summary>F32 to F16, rounded to nearest even; values of 65520 and more become infinite.</summary>
    /// <returns>The bits of the F16, zero-extended.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SingleToHalf(int value)
    {
        var magnitude = value & SingleMagnitude;
        var sign = (value >> 16) & 0x8000;

        // The unit in the last place of 0.5 is 2^-24, that of an F16 subnormal: the addition rounds where F16 does.
        var subnormal = BitConverter.SingleToInt32Bits(BitConverter.Int32BitsToSingle(magnitude) + 0.5f) - 0x3F00_0000;

        // Adding just under half a unit, or half where the last kept bit is odd, carries exactly when rounding goes up.
        var normal = (magnitude - RebiasHalf + 0x0FFF + ((magnitude >> 13) & 1)) >> 13;
        normal = normal > 0x7C00 ? 0x7C00 : normal;
        var bits = magnitude < SmallestNormalHalf ? subnormal : normal;
        bits = magnitude > SingleInfinity ? 0x7E00 | ((magnitude >> 13) & 0x03FF) : bits;
        return sign | bits;
    }

    /// <summary>BF16 to F32: the same bits with sixteen zeros behind them, NaN included.</summary>
    /// <param name="brain">The bits of the BF16 in the low half; what is above does not matter.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int BFloat16ToSingle(int brain) => brain << 16;

    /// <summary>F32 to BF16, rounded to nearest even.</summary>
    /// <returns>The bits of the BF16, zero-extended.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SingleToBFloat16(int value)
    {
        // The sum may leave the range of an int for NaN only, whose result is taken from elsewhere.
        var rounded = unchecked(value + 0x7FFF + ((value >> 16) & 1));
        var bits = (value & SingleMagnitude) > SingleInfinity ? value | SingleQuiet : rounded;
        return (bits >> 16) & 0xFFFF;
    }

    /// <summary>F64 to F32, rounded to nearest even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int DoubleToSingle(long bits)
    {
        var number = BitConverter.SingleToInt32Bits((float)BitConverter.Int64BitsToDouble(bits));

        // Devices differ in the NaN they make (PTX has one for all), so it is made here.
        var sign = (int)(bits >> 32) & int.MinValue;
        var notANumber = sign | SingleInfinity | SingleQuiet | ((int)(bits >> 29) & 0x007F_FFFF);
        return (bits & long.MaxValue) > DoubleInfinity ? notANumber : number;
    }

    /// <summary>F32 to F64, exactly; a NaN becomes quiet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long SingleToDouble(int bits)
    {
        var number = BitConverter.DoubleToInt64Bits(BitConverter.Int32BitsToSingle(bits));
        var sign = (bits & int.MinValue) * (1L << 32);
        var notANumber = sign | DoubleInfinity | DoubleQuiet | ((bits & 0x007F_FFFFL) << 29);
        return (bits & SingleMagnitude) > SingleInfinity ? notANumber : number;
    }

    /// <summary>A signed integer to F32, rounded once to nearest even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SignedToSingle(long value) => BitConverter.SingleToInt32Bits(value);

    /// <summary>A signed integer to F64, rounded once to nearest even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long SignedToDouble(long value) => BitConverter.DoubleToInt64Bits(value);

    /// <summary>An unsigned integer, given as the bits of a <see cref="long"/>, to F32, rounded once to nearest even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int UnsignedToSingle(long value)
    {
        // C#'s own cast goes through a double in IL, which rounds twice. Halving keeps the lost bit sticky, so that the one
        // rounding of the signed conversion sees it; doubling the result is exact.
        var halved = (float)Halve(value);
        return BitConverter.SingleToInt32Bits(value < 0 ? halved + halved : (float)value);
    }

    /// <summary>An unsigned integer, given as the bits of a <see cref="long"/>, to F64, rounded once to nearest even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long UnsignedToDouble(long value)
    {
        var halved = (double)Halve(value);
        return BitConverter.DoubleToInt64Bits(value < 0 ? halved + halved : (double)value);
    }

    private static long Halve(long value) => ((value >> 1) & long.MaxValue) | (value & 1);
}
