using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 18 bytes: an F16 scale, 16 bytes whose low four bits are the first 16 quants and whose high four bits the
/// last 16. A value is scale * (quant - 8).
/// </summary>
public readonly struct Q4_0Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 18;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        for (var index = 0; index < Unit.Length / 2; index += 4)
        {
            var four = reader.ReadInt32(blockOffset + 2 + index);
            PackedQuants.Write(sink, firstIndex + index, scale, four & Nibbles.Mask, 8);
            PackedQuants.Write(sink, firstIndex + index + (Unit.Length / 2), scale, (four >> 4) & Nibbles.Mask, 8);
        }
    }
}

/// <summary>Q4_0 in vectors.</summary>
internal readonly unsafe struct Q4_0Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block);
        var quants = Nibbles.Load(block + 2) - Vector256.Create((byte)8);
        output.Write(0, quants.AsSByte(), scale, scale);
    }
}
