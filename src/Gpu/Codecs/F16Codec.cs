using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>IEEE 754 binary16.</summary>
public readonly struct F16Element : IElementDecoder
{
    static int IElementDecoder.Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.Decode<TReader, TSink>(TReader reader, long offset, TSink sink, long index) =>
        sink.WriteSingle(index, FloatBits.HalfToSingle(reader.ReadUInt16(offset)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementDecoder.DecodeFour<TReader, TSink>(TReader reader, long offset, TSink sink, long index)
    {
        var four = reader.ReadInt64(offset);
        var (first, second) = ((int)four, (int)(four >> 32));
        sink.WriteFour(
            index,
            FloatBits.HalfToSingle(first & 0xFFFF),
            FloatBits.HalfToSingle((first >> 16) & 0xFFFF),
            FloatBits.HalfToSingle(second & 0xFFFF),
            FloatBits.HalfToSingle((second >> 16) & 0xFFFF));
    }
}

/// <summary>F16 in vectors, by the same steps as <see cref="FloatBits"/>.</summary>
/// <remarks>
/// Each comparison is used once and stands inside its selection: only then does the JIT keep it in a mask register and fold
/// the selection into the operation, instead of making a vector of it first.
/// </remarks>
internal readonly unsafe struct F16Vectors : IVectorSource, IVectorTarget
{
    private const int SingleInfinity = 0x7F80_0000;
    private const int Rebias = (127 - 15) << 23;
    private const int SmallestNormal = (127 - 14) << 23;

    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper)
    {
        var stored = Vector128.Load((short*)source);
        lower = Widen(Vector128.WidenLower(stored));
        upper = Widen(Vector128.WidenUpper(stored));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper)
    {
        var stored = Vector256.Load((short*)source);
        lower = Widen(Vector256.WidenLower(stored));
        upper = Widen(Vector256.WidenUpper(stored));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper)
    {
        var stored = Vector512.Load((short*)source);
        lower = Widen(Vector512.WidenLower(stored));
        upper = Widen(Vector512.WidenUpper(stored));
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
        TStores.Store(destination, Halves.Lower(Narrow(lower), Narrow(upper)).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Widen(Vector128<int> half)
    {
        var shifted = half << 13;
        var magnitude = shifted & Vector128.Create(0x0FFF_E000);
        var number = Vector128.ConditionalSelect(
            Vector128.LessThan(magnitude, Vector128.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector128.Create(SmallestNormal)).AsSingle() - Vector128.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector128.Create(Rebias)).AsSingle());

        // Infinity and NaN are rebiased twice, to the largest exponent; adding zero makes a NaN quiet.
        var bits = Vector128.ConditionalSelect(
            Vector128.GreaterThan(magnitude, Vector128.Create(0x0F7F_FFFF)).AsSingle(),
            (magnitude + Vector128.Create(2 * Rebias)).AsSingle() + Vector128<float>.Zero,
            number).AsInt32();
        return (bits | (shifted & Vector128.Create(int.MinValue))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector256<int> half)
    {
        var shifted = half << 13;
        var magnitude = shifted & Vector256.Create(0x0FFF_E000);
        var number = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector256.Create(SmallestNormal)).AsSingle() - Vector256.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector256.Create(Rebias)).AsSingle());

        // Infinity and NaN are rebiased twice, to the largest exponent; adding zero makes a NaN quiet.
        var bits = Vector256.ConditionalSelect(
            Vector256.GreaterThan(magnitude, Vector256.Create(0x0F7F_FFFF)).AsSingle(),
            (magnitude + Vector256.Create(2 * Rebias)).AsSingle() + Vector256<float>.Zero,
            number).AsInt32();
        return (bits | (shifted & Vector256.Create(int.MinValue))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector512<int> half)
    {
        var shifted = half << 13;
        var magnitude = shifted & Vector512.Create(0x0FFF_E000);
        var number = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector512.Create(SmallestNormal)).AsSingle() - Vector512.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector512.Create(Rebias)).AsSingle());

        // Infinity and NaN are rebiased twice, to the largest exponent; adding zero makes a NaN quiet.
        var bits = Vector512.ConditionalSelect(
            Vector512.GreaterThan(magnitude, Vector512.Create(0x0F7F_FFFF)).AsSingle(),
            (magnitude + Vector512.Create(2 * Rebias)).AsSingle() + Vector512<float>.Zero,
            number).AsInt32();
        return (bits | (shifted & Vector512.Create(int.MinValue))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Narrow(Vector128<float> single)
    {
        var magnitude = single.AsInt32() & Vector128.Create(int.MaxValue);
        var odd = (magnitude >>> 13) & Vector128<int>.One;
        var normal = (magnitude + odd + Vector128.Create(0x0FFF - Rebias)) >>> 13;
        normal = Vector128.Min(normal, Vector128.Create(0x7C00));
        var number = Vector128.ConditionalSelect(
            Vector128.LessThan(magnitude, Vector128.Create(SmallestNormal)),
            (magnitude.AsSingle() + Vector128.Create(0.5f)).AsInt32() - Vector128.Create(0x3F00_0000),
            normal);
        var bits = Vector128.ConditionalSelect(
            Vector128.GreaterThan(magnitude, Vector128.Create(SingleInfinity)),
            ((magnitude >>> 13) & Vector128.Create(0x03FF)) | Vector128.Create(0x7E00),
            number);
        return bits | ((single.AsInt32() >>> 16) & Vector128.Create(0x8000));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Narrow(Vector256<float> single)
    {
        var magnitude = single.AsInt32() & Vector256.Create(int.MaxValue);
        var odd = (magnitude >>> 13) & Vector256<int>.One;
        var normal = (magnitude + odd + Vector256.Create(0x0FFF - Rebias)) >>> 13;
        normal = Vector256.Min(normal, Vector256.Create(0x7C00));
        var number = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(SmallestNormal)),
            (magnitude.AsSingle() + Vector256.Create(0.5f)).AsInt32() - Vector256.Create(0x3F00_0000),
            normal);
        var bits = Vector256.ConditionalSelect(
            Vector256.GreaterThan(magnitude, Vector256.Create(SingleInfinity)),
            ((magnitude >>> 13) & Vector256.Create(0x03FF)) | Vector256.Create(0x7E00),
            number);
        return bits | ((single.AsInt32() >>> 16) & Vector256.Create(0x8000));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Narrow(Vector512<float> single)
    {
        var magnitude = single.AsInt32() & Vector512.Create(int.MaxValue);
        var odd = (magnitude >>> 13) & Vector512<int>.One;
        var normal = (magnitude + odd + Vector512.Create(0x0FFF - Rebias)) >>> 13;
        normal = Vector512.Min(normal, Vector512.Create(0x7C00));
        var number = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(SmallestNormal)),
            (magnitude.AsSingle() + Vector512.Create(0.5f)).AsInt32() - Vector512.Create(0x3F00_0000),
            normal);
        var bits = Vector512.ConditionalSelect(
            Vector512.GreaterThan(magnitude, Vector512.Create(SingleInfinity)),
            ((magnitude >>> 13) & Vector512.Create(0x03FF)) | Vector512.Create(0x7E00),
            number);
        return bits | ((single.AsInt32() >>> 16) & Vector512.Create(0x8000));
    }
}
