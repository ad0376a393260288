using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>A float of eight bits.</summary>
/// <typeparam name="TFloat">Which.</typeparam>
public readonly struct Float8Element<TFloat> : IElementDecoder
    where TFloat : struct, IFloat8
{
    static int IElementDecoder.Size => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteSingle(index, TFloat.ToSingle(reader.ReadByte(offset)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var stored = reader.ReadInt32(offset);
        sink.WriteFour(
            index, TFloat.ToSingle(stored), TFloat.ToSingle(stored >> 8), TFloat.ToSingle(stored >> 16), TFloat.ToSingle(stored >> 24));
    }
}
