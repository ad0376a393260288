using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 32 values in 36 bytes: an F16 scale, the F16 sum of all values (which decoding does not need) and 32 signed bytes. A value
/// is scale * quant. ggml computes with it and stores no weights in it, so it has no vector path.
/// </summary>
public readonly struct Q8_1Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 36;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset));
        PackedQuants.WriteSignedUnit(reader, blockOffset + 4, sink, firstIndex, scale);
    }
}
