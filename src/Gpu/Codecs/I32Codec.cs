using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Signed 32-bit integer, rounded once.</summary>
public readonly struct I32Element : IElementDecoder
{
    static int IElementDecoder.Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        SignedValues.Write(sink, index, reader.ReadInt32(offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var first = reader.ReadInt64(offset);
        var second = reader.ReadInt64(offset + 8);
        SignedValues.WriteFour(sink, index, (int)first, first >> 32, (int)second, second >> 32);
    }
}
