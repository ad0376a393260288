using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A unit of 32 6-bit floats, four in three bytes: element i is bits 6i to 6i + 5 of the 24, which are little-endian.
/// </summary>
/// <typeparam name="TFloat">Which.</typeparam>
public readonly struct Float6Unit<TFloat> : IUnitDecoder
    where TFloat : struct, IFloat6
{
    static int IUnitDecoder.BlockBytes => Unit.Length / 4 * 3;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    static int IUnitDecoder.Granule => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        // The elements of a unit fill whole groups of four, also those of a short one.
        for (var index = 0; index < count; index += 4)
        {
            var offset = blockOffset + (index / 4 * 3);
            var four = reader.ReadUInt16(offset) | (reader.ReadByte(offset + 2) << 16);
            sink.WriteFour(
                firstIndex + index,
                TFloat.ToSingle(four),
                TFloat.ToSingle(four >> 6),
                TFloat.ToSingle(four >> 12),
                TFloat.ToSingle(four >> 18));
        }
    }
}
