using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 34 bytes: an F16 scale and 32 signed bytes. A value is scale * quant.
/// </summary>
public readonly struct Q8_0Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 34;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        PackedQuants.WriteSignedUnit(reader, blockOffset + 2, sink, firstIndex, scale);
    }
}

/// <summary>Q8_0 in vectors.</summary>
internal readonly unsafe struct Q8_0Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block);
        output.Write(0, Vector256.Load((sbyte*)block + 2), scale, scale);
    }
}
