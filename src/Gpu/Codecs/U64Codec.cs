using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Unsigned 64-bit integer, rounded once.</summary>
public readonly struct U64Element : IElementDecoder
{
    static int IElementDecoder.Size => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        Write(sink, index, reader.ReadInt64(offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        Write(sink, index, reader.ReadInt64(offset));
        Write(sink, index + 1, reader.ReadInt64(offset + 8));
        Write(sink, index + 2, reader.ReadInt64(offset + 16));
        Write(sink, index + 3, reader.ReadInt64(offset + 24));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TSink>(TSink sink, long index, long value)
        where TSink : struct, IValueSink
    {
        if (TSink.TakesDouble)
        {
            sink.WriteDouble(index, FloatBits.UnsignedToDouble(value));
        }
        else
        {
            sink.WriteSingle(index, FloatBits.UnsignedToSingle(value));
        }
    }
}
