using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 24 bytes: an F16 scale, an F16 minimum, 32 bits of which bit i is the fifth bit of quant i, 16 bytes whose low
/// four bits are the rest of the first 16 quants and whose high four bits of the last 16. A value is scale * quant + minimum.
/// </summary>
public readonly struct Q5_1Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 24;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        var minimum = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 2));
        var fifth = reader.ReadInt32(blockOffset + 4);
        for (var index = 0; index < Unit.Length / 2; index += 4)
        {
            var four = reader.ReadInt32(blockOffset + 8 + index);
            var lower = (four & Nibbles.Mask) | (PackedQuants.Spread(fifth >> index) << 4);
            var upper = ((four >> 4) & Nibbles.Mask) | (PackedQuants.Spread(fifth >> (index + (Unit.Length / 2))) << 4);
            PackedQuants.WriteAdded(sink, firstIndex + index, scale, lower, minimum);
            PackedQuants.WriteAdded(sink, firstIndex + index + (Unit.Length / 2), scale, upper, minimum);
        }
    }
}

/// <summary>Q5_1 in vectors.</summary>
internal readonly unsafe struct Q5_1Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block);
        var negated = HalfScale.LoadNegated(block + 2);
        var fifth = FifthBits.AreSet(block + 4) & Vector256.Create((byte)0x10);
        output.Write<Minus>(0, (Nibbles.Load(block + 8) | fifth).AsSByte(), scale, negated, scale, negated);
    }
}
