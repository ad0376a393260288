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
        Write(sink, index, reader.ReadInt32(offset));
        Write(sink, index + 1, reader.ReadInt32(offset + 4));
        Write(sink, index + 2, reader.ReadInt32(offset + 8));
        Write(sink, index + 3, reader.ReadInt32(offset + 12));
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
}
