using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Signed 32-bit integer, rounded once.</summary>
public readonly struct I32Element : IElementDecoder
{
    static int IElementDecoder.Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        Write(sink, index, reader.ReadInt32(offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var first = reader.ReadInt64(offset);
        var second = reader.ReadInt64(offset + 8);
        WriteFour(sink, index, (int)first, first >> 32, (int)second, second >> 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TSink>(TSink sink, long index, long value)
        where TSink : struct, IValueSink
    {
        if (TSink.TakesDouble)
        {
            sink.WriteDouble(index, FloatBits.SignedToDouble(value));
        }
        else
        {
            sink.WriteSingle(index, FloatBits.SignedToSingle(value));
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
                FloatBits.SignedToDouble(first),
                FloatBits.SignedToDouble(second),
                FloatBits.SignedToDouble(third),
                FloatBits.SignedToDouble(fourth));
        }
        else
        {
            sink.WriteFour(
                index,
                FloatBits.SignedToSingle(first),
                FloatBits.SignedToSingle(second),
                FloatBits.SignedToSingle(third),
                FloatBits.SignedToSingle(fourth));
        }
    }
}
