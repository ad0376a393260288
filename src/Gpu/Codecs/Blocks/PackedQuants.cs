using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Four quants in the bytes of an <see cref="int"/>, as unit bodies read them, and their values.</summary>
internal static class PackedQuants
{
    /// <summary>Turns signed bytes into unsigned ones that are 128 larger, which is then the bias.</summary>
    public const int SignBits = unchecked((int)0x8080_8080);

    /// <summary>What quants that were signed have as their bias.</summary>
    public const int SignedBias = 128;

    /// <summary>Spreads the lowest four bits, one a byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Spread(int bits) => ((bits & 0xF) * 0x0020_4081) & 0x0101_0101;

    /// <summary>Spreads the lowest eight bits, two a byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SpreadPairs(int bits) =>
        (bits & 3) | ((bits & 0xC) << 6) | ((bits & 0x30) << 12) | ((bits & 0xC0) << 18);

    /// <summary>Stores scale * (quant - bias) of four unsigned bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TSink>(TSink sink, long index, int scale, int quants, int bias)
        where TSink : struct, IValueSink =>
        sink.WriteFour(
            index,
            BlockArithmetic.Multiply(scale, (quants & 0xFF) - bias),
            BlockArithmetic.Multiply(scale, ((quants >> 8) & 0xFF) - bias),
            BlockArithmetic.Multiply(scale, ((quants >> 16) & 0xFF) - bias),
            BlockArithmetic.Multiply(scale, ((quants >> 24) & 0xFF) - bias));

    /// <summary>Stores scale * quant + addend of four unsigned bytes, where the product is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteAdded<TSink>(TSink sink, long index, int scale, int quants, int addend)
        where TSink : struct, IValueSink =>
        sink.WriteFour(
            index,
            BlockArithmetic.MultiplyAdd(scale, quants & 0xFF, addend),
            BlockArithmetic.MultiplyAdd(scale, (quants >> 8) & 0xFF, addend),
            BlockArithmetic.MultiplyAdd(scale, (quants >> 16) & 0xFF, addend),
            BlockArithmetic.MultiplyAdd(scale, (quants >> 24) & 0xFF, addend));

    /// <summary>Stores scale * quant of a unit of 32 signed bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteSignedUnit<TReader, TSink>(TReader reader, long offset, TSink sink, long firstIndex, int scale)
        where TReader : struct, IByteReader
        where TSink : struct, IValueSink
    {
        for (var index = 0; index < Unit.Length; index += 4)
        {
            Write(sink, firstIndex + index, scale, reader.ReadInt32(offset + index) ^ SignBits, SignedBias);
        }
    }
}
