using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 22 bytes: an F16 scale, 32 bits of which bit i is the fifth bit of quant i, 16 bytes whose low four bits are
/// the rest of the first 16 quants and whose high four bits of the last 16. A value is scale * (quant - 16).
/// </summary>
public readonly struct Q5_0Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 22;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        var fifth = reader.ReadInt32(blockOffset + 2);
        for (var index = 0; index < Unit.Length / 2; index += 4)
        {
            var four = reader.ReadInt32(blockOffset + 6 + index);
            var lower = (four & Nibbles.Mask) | (PackedQuants.Spread(fifth >> index) << 4);
            var upper = ((four >> 4) & Nibbles.Mask) | (PackedQuants.Spread(fifth >> (index + (Unit.Length / 2))) << 4);
            PackedQuants.Write(sink, firstIndex + index, scale, lower, 16);
            PackedQuants.Write(sink, firstIndex + index + (Unit.Length / 2), scale, upper, 16);
        }
    }
}

/// <summary>Q5_0 in vectors.</summary>
internal readonly unsafe struct Q5_0Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block);

        // Where the fifth bit is not set, the quant is its nibble - 16: all higher bits set.
        var negative = Vector256.AndNot(Vector256.Create((byte)0xF0), FifthBits.AreSet(block + 2));
        output.Write(0, (Nibbles.Load(block + 6) | negative).AsSByte(), scale, scale);
    }
}
