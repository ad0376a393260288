using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Unsigned 8-bit integer; every value is exact in F32.</summary>
public readonly struct U8Element : IElementDecoder
{
    static int IElementDecoder.Size => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteSingle(index, Bits(reader.ReadByte(offset)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var stored = reader.ReadInt32(offset);
        sink.WriteFour(index, Bits(stored), Bits(stored >> 8), Bits(stored >> 16), Bits(stored >> 24));
    }

    // The cast takes the low byte, whatever stands above it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Bits(int stored) => BitConverter.SingleToInt32Bits(unchecked((byte)stored));
}
