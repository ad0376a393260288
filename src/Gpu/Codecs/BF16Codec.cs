using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>bfloat16: the upper half of a binary32.</summary>
public readonly struct BF16Element : IElementDecoder
{
    static int IElementDecoder.Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteSingle(index, FloatBits.BFloat16ToSingle(reader.ReadUInt16(offset)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var four = reader.ReadInt64(offset);
        var (first, second) = ((int)four, (int)(four >> 32));
        sink.WriteFour(
            index,
            FloatBits.BFloat16ToSingle(first & 0xFFFF),
            FloatBits.BFloat16ToSingle((first >> 16) & 0xFFFF),
            FloatBits.BFloat16ToSingle(second & 0xFFFF),
            FloatBits.BFloat16ToSingle((second >> 16) & 0xFFFF));
    }
}

/// <summary>BF16 in vectors, by the same steps as <see cref="FloatBits"/>.</summary>
internal readonly unsafe struct BF16Vectors : IVectorSource, IVectorTarget
{
    private const int SingleQuiet = 0x0040_0000;

    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper)
    {
        var stored = Vector128.Load((ushort*)source);
        lower = Widen(Vector128.WidenLower(stored).AsInt32());
        upper = Widen(Vector128.WidenUpper(stored).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper)
    {
        var stored = Vector256.Load((ushort*)source);
        lower = Widen(Vector256.WidenLower(stored).AsInt32());
        upper = Widen(Vector256.WidenUpper(stored).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper)
    {
        var stored = Vector512.Load((ushort*)source);
        lower = Widen(Vector512.WidenLower(stored).AsInt32());
        upper = Widen(Vector512.WidenUpper(stored).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector128<float> lower, Vector128<float> upper)
        where TStores : struct, IStores =>
        TStores.Store(destination, Vector128.Narrow(Narrow(lower).AsUInt32(), Narrow(upper).AsUInt32()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector256<float> lower, Vector256<float> upper)
        where TStores : struct, IStores =>
        TStores.Store(destination, Vector256.Narrow(Narrow(lower).AsUInt32(), Narrow(upper).AsUInt32()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector512<float> lower, Vector512<float> upper)
        where TStores : struct, IStores =>
        TStores.Store(destination, Halves.Upper(Round(lower), Round(upper)).AsByte());

    /// <summary>Stores what arithmetic has given. Its NaN are quiet, so that the upper halves tell them, and all is done in 16 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreResults<TStores>(byte* destination, Vector512<float> lower, Vector512<float> upper)
        where TStores : struct, IStores
    {
        var kept = Halves.Upper(lower.AsInt32(), upper.AsInt32());
        var dropped = Halves.Lower(lower.AsInt32(), upper.AsInt32());
        var odd = kept & Vector512<ushort>.One;
        var isUp = Vector512.GreaterThan(Vector512.AddSaturate(dropped, odd), Vector512.Create((ushort)0x8000));
        var isNumber = Vector512.LessThanOrEqual(kept & Vector512.Create((ushort)0x7FFF), Vector512.Create((ushort)0x7F80));
        TStores.Store(destination, (kept - (isUp & isNumber)).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Widen(Vector128<int> brain) => (brain << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector256<int> brain) => (brain << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector512<int> brain) => (brain << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Narrow(Vector128<float> single)
    {
        var bits = single.AsInt32();
        var isNotANumber = ~Vector128.Equals(single, single).AsInt32();
        var odd = (bits >>> 16) & Vector128<int>.One;
        var rounded = bits + odd + Vector128.Create(0x7FFF);
        return Vector128.ConditionalSelect(isNotANumber, bits | Vector128.Create(SingleQuiet), rounded) >>> 16;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Narrow(Vector256<float> single)
    {
        var bits = single.AsInt32();
        var isNotANumber = ~Vector256.Equals(single, single).AsInt32();
        var odd = (bits >>> 16) & Vector256<int>.One;
        var rounded = bits + odd + Vector256.Create(0x7FFF);
        return Vector256.ConditionalSelect(isNotANumber, bits | Vector256.Create(SingleQuiet), rounded) >>> 16;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Round(Vector512<float> single)
    {
        var bits = single.AsInt32();
        var isNotANumber = ~Vector512.Equals(single, single).AsInt32();
        var odd = (bits >>> 16) & Vector512<int>.One;
        var rounded = bits + odd + Vector512.Create(0x7FFF);
        return Vector512.ConditionalSelect(isNotANumber, bits | Vector512.Create(SingleQuiet), rounded);
    }
}
