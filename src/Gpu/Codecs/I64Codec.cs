using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Signed 64-bit integer, rounded once.</summary>
public readonly struct I64Element : IElementDecoder
{
    static int IElementDecoder.Size => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        SignedValues.Write(sink, index, reader.ReadInt64(offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var (first, second) = (reader.ReadInt64(offset), reader.ReadInt64(offset + 8));
        var (third, fourth) = (reader.ReadInt64(offset + 16), reader.ReadInt64(offset + 24));
        SignedValues.WriteFour(sink, index, first, second, third, fourth);
    }
}
