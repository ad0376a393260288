using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>IEEE 754 binary64. It narrows to F16 and BF16 through F32, as PyTorch does.</summary>
public readonly struct F64Element : IElementDecoder
{
    static int IElementDecoder.Size => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteDouble(index, reader.ReadInt64(offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteFourDoubles(
            index, reader.ReadInt64(offset), reader.ReadInt64(offset + 8), reader.ReadInt64(offset + 16), reader.ReadInt64(offset + 24));
}

/// <summary>
/// F64 in vectors. The processor's own conversion is the rule: x64 (cvtpd2ps, cvtps2pd) and Arm64 (fcvtn, fcvtl with the
/// default FPCR) round to nearest even, keep subnormals, and keep a NaN's sign and upper payload while quieting it.
/// </summary>
internal readonly unsafe struct F64Vectors : IVectorSource, IVectorTarget
{
    public static int Size => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper)
    {
        var stored = (double*)source;
        var count = Vector128<double>.Count;
        lower = Vector128.Narrow(Vector128.Load(stored), Vector128.Load(stored + count));
        upper = Vector128.Narrow(Vector128.Load(stored + (2 * count)), Vector128.Load(stored + (3 * count)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper)
    {
        var stored = (double*)source;
        var count = Vector256<double>.Count;
        lower = Vector256.Narrow(Vector256.Load(stored), Vector256.Load(stored + count));
        upper = Vector256.Narrow(Vector256.Load(stored + (2 * count)), Vector256.Load(stored + (3 * count)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper)
    {
        var stored = (double*)source;
        var count = Vector512<double>.Count;
        lower = Vector512.Narrow(Vector512.Load(stored), Vector512.Load(stored + count));
        upper = Vector512.Narrow(Vector512.Load(stored + (2 * count)), Vector512.Load(stored + (3 * count)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector128<float> lower, Vector128<float> upper)
        where TStores : struct, IStores
    {
        var bytes = Vector128<byte>.Count;
        TStores.Store(destination, Vector128.WidenLower(lower).AsByte());
        TStores.Store(destination + bytes, Vector128.WidenUpper(lower).AsByte());
        TStores.Store(destination + (2 * bytes), Vector128.WidenLower(upper).AsByte());
        TStores.Store(destination + (3 * bytes), Vector128.WidenUpper(upper).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector256<float> lower, Vector256<float> upper)
        where TStores : struct, IStores
    {
        var bytes = Vector256<byte>.Count;
        TStores.Store(destination, Vector256.WidenLower(lower).AsByte());
        TStores.Store(destination + bytes, Vector256.WidenUpper(lower).AsByte());
        TStores.Store(destination + (2 * bytes), Vector256.WidenLower(upper).AsByte());
        TStores.Store(destination + (3 * bytes), Vector256.WidenUpper(upper).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector512<float> lower, Vector512<float> upper)
        where TStores : struct, IStores
    {
        var bytes = Vector512<byte>.Count;
        TStores.Store(destination, Vector512.WidenLower(lower).AsByte());
        TStores.Store(destination + bytes, Vector512.WidenUpper(lower).AsByte());
        TStores.Store(destination + (2 * bytes), Vector512.WidenLower(upper).AsByte());
        TStores.Store(destination + (3 * bytes), Vector512.WidenUpper(upper).AsByte());
    }
}
