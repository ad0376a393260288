using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Scale times quant, and what is added to it, on bits: the arithmetic of all block types. Host and devices run these same
/// methods; thread-safe.
/// </summary>
/// <remarks>
/// A scale (11 bits of F16, times a block scale of at most 6) times a quant (8 bits) is exact in float32, so that a product
/// and a sum are rounded once, fused or not, as in ggml. Q8_K's scale has 24 bits: its products are rounded, but nothing is
/// added to them. MXFP4's products may be infinite. Where a scale is not finite, the NaN that comes out is that of
/// ggml on x64: the scale's own, made quiet, or FFC00000 where infinity met zero or infinity; other processors have other
/// NaNs, so it is made here.
/// </remarks>
internal static class BlockArithmetic
{
    private const int Infinity = 0x7F80_0000;
    private const int Quiet = 0x0040_0000;
    private const int Magnitude = int.MaxValue;

    /// <summary>The NaN that x64 makes of an invalid operation.</summary>
    private const int Invalid = unchecked((int)0xFFC0_0000);

    /// <summary>scale * quant.</summary>
    /// <param name="scale">The bits of a float32.</param>
    /// <param name="quant">A number of at most 13 bits.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Multiply(int scale, int quant)
    {
        var product = BitConverter.SingleToInt32Bits(BitConverter.Int32BitsToSingle(scale) * quant);
        var notANumber = IsNaN(scale) ? scale | Quiet : Invalid;
        return IsNaN(product) ? notANumber : product;
    }

    /// <summary>scale * quant + addend, where the product is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int MultiplyAdd(int scale, int quant, int addend)
    {
        var sum = BitConverter.SingleToInt32Bits(
            (BitConverter.Int32BitsToSingle(scale) * quant) + BitConverter.Int32BitsToSingle(addend));
        return IsNaN(sum) ? NaNOf(Multiply(scale, quant), addend) : sum;
    }

    /// <summary>scale * quant - subtrahend, where the product is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int MultiplySubtract(int scale, int quant, int subtrahend)
    {
        var difference = BitConverter.SingleToInt32Bits(
            (BitConverter.Int32BitsToSingle(scale) * quant) - BitConverter.Int32BitsToSingle(subtrahend));
        return IsNaN(difference) ? NaNOf(Multiply(scale, quant), subtrahend) : difference;
    }

    /// <summary>scale / 2^<paramref name="power"/>, exactly.</summary>
    /// <param name="scale">
    /// The bits of a float32 that was an F16: at least 2^-24 in magnitude where it is not zero, so that the quotient by a small
    /// power of two is no subnormal.
    /// </param>
    /// <param name="power">At most 100.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int DivideByPowerOfTwo(int scale, int power)
    {
        var magnitude = scale & Magnitude;
        return magnitude == 0 || magnitude >= Infinity ? scale : scale - (power << 23);
    }

    // x64 keeps the first operand's NaN, then the second's.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int NaNOf(int first, int second)
    {
        var ofSecond = IsNaN(second) ? second | Quiet : Invalid;
        return IsNaN(first) ? first : ofSecond;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsNaN(int bits) => (bits & Magnitude) > Infinity;
}
