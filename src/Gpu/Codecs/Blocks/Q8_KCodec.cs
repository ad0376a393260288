using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 292 bytes: an F32 scale, 256 signed bytes, and 16 sums of 16 quants each (which decoding does not need). A
/// value is scale * quant. ggml computes with it and stores no weights in it, so it has no vector path.
/// </summary>
public readonly struct Q8_KUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 292;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        PackedQuants.WriteSignedUnit(
            reader, blockOffset + 4 + (unit * Unit.Length), sink, firstIndex, reader.ReadInt32(blockOffset));
    }
}
