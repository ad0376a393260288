using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 20 bytes: an F16 scale, an F16 minimum, 16 bytes whose low four bits are the first 16 quants and whose high
/// four bits the last 16. A value is scale * quant + minimum.
/// </summary>
public readonly struct Q4_1Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 20;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        var minimum = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 2));
        for (var index = 0; index < Unit.Length / 2; index += 4)
        {
            var four = reader.ReadInt32(blockOffset + 4 + index);
            PackedQuants.WriteAdded(sink, firstIndex + index, scale, four & Nibbles.Mask, minimum);
            PackedQuants.WriteAdded(sink, firstIndex + index + (Unit.Length / 2), scale, (four >> 4) & Nibbles.Mask, minimum);
        }
    }
}

/// <summary>Q4_1 in vectors.</summary>
internal readonly unsafe struct Q4_1Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block);
        var negated = HalfScale.LoadNegated(block + 2);
        output.Write<Minus>(0, Nibbles.Load(block + 4).AsSByte(), scale, negated, scale, negated);
    }
}
