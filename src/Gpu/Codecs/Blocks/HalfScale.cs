using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// F16 scales of a block as float32, in integer registers: a vector path keeps the others busy as it is. Nearly all scales are
/// normal numbers, and have a short way of their own.
/// </summary>
internal static unsafe class HalfScale
{
    // Exponents are biased by 15 in F16 and by 127 in F32.
    private const int Rebias = (127 - 15) << 23;
    private const int SingleInfinity = 0x7F80_0000;
    private const int Sign = int.MinValue;

    /// <summary>The scale; a NaN becomes quiet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* source)
    {
        int half = Unsafe.ReadUnaligned<short>(source);
        return BitConverter.Int32BitsToSingle(IsNormal(half) ? WidenNormal(half) : FloatBits.HalfToSingle(half & 0xFFFF));
    }

    /// <summary>A number negated, a NaN made quiet: subtracting the result is adding the scale, NaN's bits included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadNegated(byte* source)
    {
        int half = Unsafe.ReadUnaligned<short>(source);
        return BitConverter.Int32BitsToSingle(IsNormal(half) ? WidenNormal(half) ^ Sign : Negate(FloatBits.HalfToSingle(half & 0xFFFF)));
    }

    // The exponents 0 and 31 become 1 and 0 (mod 32) when one is added, and are the only ones without a bit above the lowest.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsNormal(int half) => ((half + 0x0400) & 0x7800) != 0;

    // Sign-extended, so that the sign comes to stand where it belongs; its copies below it are masked.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int WidenNormal(int half) => ((half << 13) & (Sign | 0x0FFF_E000)) + Rebias;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Negate(int bits) => (bits & int.MaxValue) > SingleInfinity ? bits : bits ^ Sign;
}
