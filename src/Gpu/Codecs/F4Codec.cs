using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A unit of 32 4-bit floats (E2M1), two a byte: the first in the low four bits, as PyTorch's float4_e2m1fn_x2 and the OCP
/// Microscaling formats pack them.
/// </summary>
public readonly struct F4Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => Unit.Length / 2;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    static int IUnitDecoder.Granule => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var index = 0;
        for (; index + 8 <= count; index += 8)
        {
            var eight = reader.ReadInt32(blockOffset + (index / 2));
            sink.WriteFour(
                firstIndex + index,
                FloatBits.F4ToSingle(eight),
                FloatBits.F4ToSingle(eight >> 4),
                FloatBits.F4ToSingle(eight >> 8),
                FloatBits.F4ToSingle(eight >> 12));
            sink.WriteFour(
                firstIndex + index + 4,
                FloatBits.F4ToSingle(eight >> 16),
                FloatBits.F4ToSingle(eight >> 20),
                FloatBits.F4ToSingle(eight >> 24),
                FloatBits.F4ToSingle(eight >> 28));
        }

        for (; index < count; index += 2)
        {
            var two = reader.ReadByte(blockOffset + (index / 2));
            sink.WriteSingle(firstIndex + index, FloatBits.F4ToSingle(two));
            sink.WriteSingle(firstIndex + index + 1, FloatBits.F4ToSingle(two >> 4));
        }
    }
}
