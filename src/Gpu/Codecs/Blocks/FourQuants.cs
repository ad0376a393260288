using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Four quants in the bytes of an integer, for unit bodies. Arithmetic on all four at once never carries between them.</summary>
internal static class FourQuants
{
    private const int SignBits = unchecked((int)0x8080_8080);

    /// <summary>Spreads the lowest four bits, one a byte.</summary>
    // The multiplication copies the bits 0, 7, 14 and 21 up, which brings bit i to bit 8 * i.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Spread(int bits) => ((bits & 0xF) * 0x0020_4081) & 0x0101_0101;

    /// <summary>Spreads the lowest eight bits, two a byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SpreadPairs(int bits) =>
        (bits & 3) | ((bits & 0xC) << 6) | ((bits & 0x30) << 12) | ((bits & 0xC0) << 18);

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
        var negative = Spread(signs);
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

    /// <summary>Stores scale * quant of a unit of 32 signed bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteUnit<TReader, TSink>(TReader reader, long offset, TSink sink, long firstIndex, int scale)
        where TReader : struct, IByteReader
        where TSink : struct, IValueSink
    {
        for (var index = 0; index < Unit.Length; index += 4)
        {
            Write(sink, firstIndex + index, scale, reader.ReadInt32(offset + index));
        }
    }

    /// <summary>Stores scale * quant - subtrahend of four signed quants, where the product is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteDifferences<TSink>(TSink sink, long index, int scale, int quants, int subtrahend)
        where TSink : struct, IValueSink =>
        sink.WriteFour(
            index,
            BlockArithmetic.MultiplySubtract(scale, (quants << 24) >> 24, subtrahend),
            BlockArithmetic.MultiplySubtract(scale, (quants << 16) >> 24, subtrahend),
            BlockArithmetic.MultiplySubtract(scale, (quants << 8) >> 24, subtrahend),
            BlockArithmetic.MultiplySubtract(scale, quants >> 24, subtrahend));

    /// <summary>Stores scale * quant + addend of four signed quants, where the product is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteSums<TSink>(TSink sink, long index, int scale, int quants, int addend)
        where TSink : struct, IValueSink =>
        sink.WriteFour(
            index,
            BlockArithmetic.MultiplyAdd(scale, (quants << 24) >> 24, addend),
            BlockArithmetic.MultiplyAdd(scale, (quants << 16) >> 24, addend),
            BlockArithmetic.MultiplyAdd(scale, (quants << 8) >> 24, addend),
            BlockArithmetic.MultiplyAdd(scale, quants >> 24, addend));
}
