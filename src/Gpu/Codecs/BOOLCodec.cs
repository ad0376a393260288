using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>One byte a value: zero is 0, everything else is 1.</summary>
public readonly struct BOOLElement : IElementDecoder
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

    // 0x3F800000 is 1.0f.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Bits(int stored) => (stored & 0xFF) != 0 ? 0x3F80_0000 : 0;
}
