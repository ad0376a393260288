using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Four quants in the bytes of an integer, for unit bodies. Arithmetic on all four at once never carries between them.</summary>
internal static class FourQuants
{
    private const int SignBits = unchecked((int)0x8080_8080);

    /// <summary>Takes a number of at most 128 from each quant of at most 127; both in all four bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Subtract(int quants, int subtrahends) => ((quants | SignBits) - subtrahends) ^ SignBits;

    /// <summary>Adds signed quants and addends whose sums are bytes too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Add(int quants, int addends) => ((quants & ~SignBits) + (addends & ~SignBits)) ^ ((quants ^ addends) & SignBits);

    /// <summary>Negates the quants, none of them 0, whose bit is set in the low four of <paramref name="signs"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Negate(int quants, int signs)
    {
        // The multiplication copies the bits 0, 7, 14 and 21 up, which brings bit i to bit 8 * i.
        var negative = ((signs & 0xF) * 0x0020_4081) & 0x0101_0101;
        return (quants ^ ((negative << 8) - negative)) + negative;
    }

    /// <summary>Stores scale * quant of four signed quants.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TSink>(TSink sink, long index, int scale, int quants)
        where TSink : struct, IValueSink =>
        sink.WriteFour(
            index,
            BlockArithmetic.Multiply(scale, (quants << 24) >> 24),
            BlockArithmetic.Multiply(scale, (quants << 16) >> 24),
            BlockArithmetic.Multiply(scale, (quants << 8) >> 24),
            BlockArithmetic.Multiply(scale, quants >> 24));

    /// <summary>Stores scale * quant - subtrahend of four signed quants.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TSink>(TSink sink, long index, int scale, int quants, int subtrahend)
        where TSink : struct, IValueSink =>
        sink.WriteFour(
            index,
            BlockArithmetic.MultiplySubtract(scale, (quants << 24) >> 24, subtrahend),
            BlockArithmetic.MultiplySubtract(scale, (quants << 16) >> 24, subtrahend),
            BlockArithmetic.MultiplySubtract(scale, (quants << 8) >> 24, subtrahend),
            BlockArithmetic.MultiplySubtract(scale, quants >> 24, subtrahend));
}
