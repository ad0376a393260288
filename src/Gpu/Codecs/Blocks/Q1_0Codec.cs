using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 128 values in 18 bytes: an F16 scale and 128 bits, the lowest of each byte first. A value is the scale where its bit is set
/// and the scale with its sign changed where it is not, NaN included.
/// </summary>
public readonly struct Q1_0Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 18;

    static int IUnitDecoder.UnitsPerBlockShift => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        var bits = reader.ReadInt32(blockOffset + 2 + (unit * (Unit.Length / 8)));
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var four = ~(bits >> index);
            sink.WriteFour(
                firstIndex + index,
                scale ^ ((four & 1) << 31),
                scale ^ ((four & 2) << 30),
                scale ^ ((four & 4) << 29),
                scale ^ ((four & 8) << 28));
        }
    }
}
