using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The piece of work that all codecs share: 32 outputs, the smallest ggml block. The host runs units in a loop, a device one
/// a thread.
/// </summary>
public static class Unit
{
    /// <summary>Outputs of a full unit.</summary>
    public const int Length = 32;

    /// <summary>How many units hold <paramref name="valueCount"/> values; the last may be shorter than 32.</summary>
    public static long Count(long valueCount) => (valueCount + Length - 1) / Length;

    /// <summary>Decodes unit <paramref name="unit"/> of an output of <paramref name="valueCount"/> values.</summary>
    /// <param name="reader">The stored bytes, from the first block on.</param>
    /// <param name="table">The bytes of the body's <see cref="IUnitDecoder.Table"/>.</param>
    /// <param name="sink">The output, from the first value on.</param>
    /// <param name="unit">0 to <see cref="Count"/> - 1; not checked.</param>
    /// <param name="valueCount">Values in the whole output.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TDecoder, TReader, TTable, TSink>(TReader reader, TTable table, TSink sink, long unit, long valueCount)
        where TDecoder : struct, IUnitDecoder
        where TReader : struct, IByteReader
        where TTable : struct, IByteReader
        where TSink : struct, IValueSink
    {
        var firstIndex = unit * Length;
        var rest = valueCount - firstIndex;
        var count = rest < Length ? (int)rest : Length;
        var blockOffset = (unit >> TDecoder.UnitsPerBlockShift) * TDecoder.BlockBytes;
        var unitInBlock = (int)unit & ((1 << TDecoder.UnitsPerBlockShift) - 1);
        TDecoder.DecodeUnit(reader, table, blockOffset, unitInBlock, count, sink, firstIndex);
    }
}
