using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 18 bytes: an F16 scale, 16 bytes whose low four bits are the first 16 codes and whose high four bits the last
/// 16. A value is scale times what the code stands for, one of 16 numbers that lie closer around zero.
/// </summary>
public readonly struct IQ4_NLUnit : IUnitDecoder
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
            NibbleValues.WriteNonlinear(sink, firstIndex + index, scale, four);
            NibbleValues.WriteNonlinear(sink, firstIndex + index + (Unit.Length / 2), scale, four >> 4);
        }
    }
}

/// <summary>IQ4_NL in vectors.</summary>
internal readonly unsafe struct IQ4_NLVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block);
        output.Write(0, NibbleValues.LookUpNonlinear(Nibbles.Load(block + 2)), scale, scale);
    }
}
