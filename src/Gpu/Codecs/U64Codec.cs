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
        var (first, second) = (reader.ReadInt64(offset), reader.ReadInt64(offset + 8));
        var (third, fourth) = (reader.ReadInt64(offset + 16), reader.ReadInt64(offset + 24));
        WriteFour(sink, index, first, second, third, fourth);
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteFour<TSink>(TSink sink, long index, long first, long second, long third, long fourth)
        where TSink : struct, IValueSink
    {
        if (TSink.TakesDouble)
        {
            sink.WriteFourDoubles(
                index,
                FloatBits.UnsignedToDouble(first),
                FloatBits.UnsignedToDouble(second),
                FloatBits.UnsignedToDouble(third),
                FloatBits.UnsignedToDouble(fourth));
        }
        else
        {
            sink.WriteFour(
                index,
                FloatBits.UnsignedToSingle(first),
                FloatBits.UnsignedToSingle(second),
                FloatBits.UnsignedToSingle(third),
                FloatBits.UnsignedToSingle(fourth));
        }
    }
}
