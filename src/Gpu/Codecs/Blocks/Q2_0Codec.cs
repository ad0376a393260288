using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 64 values in 18 bytes: an F16 scale and 64 quants of two bits, the lowest of each byte first. A value is
/// scale * (quant - 1).
/// </summary>
public readonly struct Q2_0Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 18;

    static int IUnitDecoder.UnitsPerBlockShift => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        var offset = blockOffset + 2 + (unit * (Unit.Length / 4));
        for (var half = 0; half < 2; half++)
        {
            var sixteen = reader.ReadInt32(offset + (half * 4));
            for (var index = 0; index < Unit.Length / 2; index += 4)
            {
                PackedQuants.Write(
                    sink, firstIndex + (half * (Unit.Length / 2)) + index, scale, PackedQuants.SpreadPairs(sixteen >> (2 * index)), 1);
            }
        }
    }
}
