using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Unsigned 16-bit integer; every value is exact in F32.</summary>
public readonly struct U16Element : IElementDecoder
{
    static int IElementDecoder.Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteSingle(index, Bits(reader.ReadUInt16(offset)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var four = reader.ReadInt64(offset);
        var (first, second) = ((int)four, (int)(four >> 32));
        sink.WriteFour(index, Bits(first), Bits(first >> 16), Bits(second), Bits(second >> 16));
    }

    // The cast takes the low half, whatever stands above it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Bits(int stored) => BitConverter.SingleToInt32Bits(unchecked((ushort)stored));
}
