using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <content>
/// The types of eight bits and less (formats.md 1.4). Numbers are PyTorch's (c10/util/Float8_*.h) and, for F4 and F6, those of
/// the OCP Microscaling formats 1.0. A NaN of eight bits becomes 7FC00000 with its sign; the FNUZ types' only NaN (80) and
/// F8_E8M0's (FF) have none. Narrowing rounds to nearest even and keeps subnormals.
/// </content>
public static partial class FloatBits
{
    private const int SingleNaN = SingleInfinity | SingleQuiet;

    /// <summary>F8_E4M3 (FN) to F32, exactly.</summary>
    /// <param name="stored">The bits in the low byte; what is above does not matter.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F8E4M3ToSingle(int stored)
    {
        var magnitude = stored & 0x7F;
        var bits = magnitude == 0x7F ? SingleNaN : MagnitudeToSingle(magnitude, 3, 7);
        return bits | ((stored & 0x80) << 24);
    }

    /// <summary>F8_E5M2 to F32, exactly.</summary>
    /// <inheritdoc cref="F8E4M3ToSingle"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F8E5M2ToSingle(int stored)
    {
        var magnitude = stored & 0x7F;
        var bits = MagnitudeToSingle(magnitude, 2, 15);
        bits = magnitude >= 0x7C ? SingleInfinity : bits;
        bits = magnitude > 0x7C ? SingleNaN : bits;
        return bits | ((stored & 0x80) << 24);
    }

    /// <summary>F8_E4M3FNUZ to F32, exactly.</summary>
    /// <inheritdoc cref="F8E4M3ToSingle"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F8E4M3FNUZToSingle(int stored)
    {
        var bits = MagnitudeToSingle(stored & 0x7F, 3, 8) | ((stored & 0x80) << 24);
        return (stored & 0xFF) == 0x80 ? SingleNaN : bits;
    }

    /// <summary>F8_E5M2FNUZ to F32, exactly.</summary>
    /// <inheritdoc cref="F8E4M3ToSingle"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F8E5M2FNUZToSingle(int stored)
    {
        var bits = MagnitudeToSingle(stored & 0x7F, 2, 16) | ((stored & 0x80) << 24);
        return (stored & 0xFF) == 0x80 ? SingleNaN : bits;
    }

    /// <summary>F8_E8M0 to F32: 2^(stored - 127), of which the smallest is a subnormal.</summary>
    /// <inheritdoc cref="F8E4M3ToSingle"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F8E8M0ToSingle(int stored)
    {
        var exponent = stored & 0xFF;

        // The bit that is 2^-127 under the lowest exponent is the quiet bit under the highest.
        var isFirstOrLast = ((exponent + 1) & 0xFF) < 2;
        return (exponent << 23) | (isFirstOrLast ? SingleQuiet : 0);
    }

    /// <summary>F4 (E2M1) to F32, exactly.</summary>
    /// <param name="stored">The bits in the low four; what is above does not matter.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F4ToSingle(int stored) => MagnitudeToSingle(stored & 0x7, 1, 1) | ((stored & 0x8) << 28);

    /// <summary>F6_E2M3 to F32, exactly.</summary>
    /// <param name="stored">The bits in the low six; what is above does not matter.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F6E2M3ToSingle(int stored) => MagnitudeToSingle(stored & 0x1F, 3, 1) | ((stored & 0x20) << 26);

    /// <summary>F6_E3M2 to F32, exactly.</summary>
    /// <inheritdoc cref="F6E2M3ToSingle"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int F6E3M2ToSingle(int stored) => MagnitudeToSingle(stored & 0x1F, 2, 3) | ((stored & 0x20) << 26);

    /// <summary>F32 to F8_E4M3 (FN): above 464, infinity and NaN become 7F with the sign.</summary>
    /// <returns>The bits, zero-extended.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SingleToF8E4M3(int value)
    {
        // 464 is a tie between 448 (7E) and what 7F would be, and 7E is even.
        var code = RoundMagnitude(value & SingleMagnitude, 3, 7);
        code = code > 0x7F ? 0x7F : code;
        return code | ((value >> 24) & 0x80);
    }

    /// <summary>F32 to F8_E5M2: 61440 and more become infinite, a NaN becomes 7F with its sign.</summary>
    /// <inheritdoc cref="SingleToF8E4M3"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SingleToF8E5M2(int value)
    {
        var magnitude = value & SingleMagnitude;
        var code = RoundMagnitude(magnitude, 2, 15);
        code = code > 0x7C ? 0x7C : code;
        code = magnitude > SingleInfinity ? 0x7F : code;
        return code | ((value >> 24) & 0x80);
    }

    /// <summary>F32 to F8_E4M3FNUZ: 248 and more, infinity and NaN become 80; what rounds to zero has no sign.</summary>
    /// <inheritdoc cref="SingleToF8E4M3"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SingleToF8E4M3FNUZ(int value) => WithoutNegativeZero(RoundMagnitude(value & SingleMagnitude, 3, 8), value);

    /// <summary>F32 to F8_E5M2FNUZ: 61440 and more, infinity and NaN become 80; what rounds to zero has no sign.</summary>
    /// <inheritdoc cref="SingleToF8E4M3"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SingleToF8E5M2FNUZ(int value) => WithoutNegativeZero(RoundMagnitude(value & SingleMagnitude, 2, 16), value);

    // A magnitude of exponent and mantissa to F32, as if there were no infinity and no NaN.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int MagnitudeToSingle(int magnitude, int mantissaBits, int bias)
    {
        var shifted = magnitude << (23 - mantissaBits);

        // As in HalfToSingle: the mantissa under the smallest exponent, less that exponent's power of two.
        var smallestNormal = (128 - bias) << 23;
        var subnormal = BitConverter.SingleToInt32Bits(
            BitConverter.Int32BitsToSingle(shifted + smallestNormal) - BitConverter.Int32BitsToSingle(smallestNormal));
        return shifted < 0x0080_0000 ? subnormal : shifted + ((127 - bias) << 23);
    }

    // The magnitude of an F32 rounded to exponent and mantissa, as if the exponent had no end.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int RoundMagnitude(int magnitude, int mantissaBits, int bias)
    {
        var dropped = 23 - mantissaBits;

        // As in SingleToHalf: the unit in the last place of this power of two is the smallest subnormal.
        var rounder = (151 - bias - mantissaBits) << 23;
        var subnormal = BitConverter.SingleToInt32Bits(
            BitConverter.Int32BitsToSingle(magnitude) + BitConverter.Int32BitsToSingle(rounder)) - rounder;
        var normal = (magnitude - ((127 - bias) << 23) + (1 << (dropped - 1)) - 1 + ((magnitude >> dropped) & 1)) >> dropped;
        return magnitude < (128 - bias) << 23 ? subnormal : normal;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int WithoutNegativeZero(int code, int value)
    {
        code = code > 0x80 ? 0x80 : code;

        // 80 stays 80 under either sign; zero adds up to 7F, which has no bit for one.
        return code | ((code + 0x7F) & (value >> 24) & 0x80);
    }
}
