using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Unsigned 32-bit integer, rounded once.</summary>
public readonly struct U32Element : IElementDecoder
{
    static int IElementDecoder.Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        SignedValues.Write(sink, index, reader.ReadInt32(offset) & 0xFFFF_FFFFL);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var first = reader.ReadInt64(offset);
        var second = reader.ReadInt64(offset + 8);
        SignedValues.WriteFour(sink, index, first & 0xFFFF_FFFFL, (first >> 32) & 0xFFFF_FFFFL, second & 0xFFFF_FFFFL, (second >> 32) & 0xFFFF_FFFFL);
    }
}
