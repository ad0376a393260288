using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>IEEE 754 binary32, the type all narrowing starts from.</summary>
public readonly struct F32Element : IElementDecoder
{
    static int IElementDecoder.Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteSingle(index, reader.ReadInt32(offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var first = reader.ReadInt64(offset);
        var second = reader.ReadInt64(offset + 8);
        sink.WriteFour(index, (int)first, (int)(first >> 32), (int)second, (int)(second >> 32));
    }
}

/// <summary>F32 in vectors: as it is, so F32 to F32 is a copy of bits.</summary>
internal readonly unsafe struct F32Vectors : IVectorSource, IVectorTarget
{
    public static int Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper)
    {
        lower = Vector128.Load((float*)source);
        upper = Vector128.Load((float*)source + Vector128<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper)
    {
        lower = Vector256.Load((float*)source);
        upper = Vector256.Load((float*)source + Vector256<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper)
    {
        lower = Vector512.Load((float*)source);
        upper = Vector512.Load((float*)source + Vector512<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector128<float> lower, Vector128<float> upper)
        where TStores : struct, IStores
    {
        TStores.Store(destination, lower.AsByte());
        TStores.Store(destination + Vector128<byte>.Count, upper.AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector256<float> lower, Vector256<float> upper)
        where TStores : struct, IStores
    {
        TStores.Store(destination, lower.AsByte());
        TStores.Store(destination + Vector256<byte>.Count, upper.AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector512<float> lower, Vector512<float> upper)
        where TStores : struct, IStores
    {
        TStores.Store(destination, lower.AsByte());
        TStores.Store(destination + Vector512<byte>.Count, upper.AsByte());
    }
}
