using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>The signed 8-bit floats in vectors: results are those of <see cref="FloatBits"/>, in fewer steps.</summary>
/// <typeparam name="TLayout">Which of them.</typeparam>
internal readonly unsafe struct Float8Vectors<TLayout> : IVectorSource, IVectorTarget
    where TLayout : struct, IFloat8Layout
{
    private const int SingleInfinity = 0x7F80_0000;
    private const int SingleNaN = 0x7FC0_0000;

    public static int Size => 1;

    public static bool HasBrain => Avx512Vbmi.IsSupported;

    // The JIT folds these to constants where they are inlined, and calls them in the middle of a loop where it is not told
    // to inline the longer ones.

    // Mantissa bits of a float32 that are dropped.
    private static int Dropped => 23 - TLayout.MantissaBits;

    private static int Rebias => (127 - TLayout.Bias) << 23;

    private static int SmallestNormal => (128 - TLayout.Bias) << 23;

    // Added to a value's exponent, or the smallest normal one, makes a power of two whose unit in the last place is the
    // target's: one addition rounds normal numbers and subnormals alike, and leaves mantissa and hidden bit in the low bits.
    // The low byte takes the bias back out of the exponent that is added to it later; it is even, so that ties still are.
    private static int Rounder
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Dropped << 23) + (-(SmallestNormal >> Dropped) & 0xFF);
    }

    // The largest code that is no NaN, where NaN has the sign bit apart.
    private static int LastNumber
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLayout.HasInfinity ? 0x7C : 0x7E;
    }

    // What all too large numbers are taken for: the first that rounds to infinity, or would be where NaN is (480, 256, 65536).
    private static int Overflow
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (((TLayout.HasInfinity ? 0x7C : TLayout.HasNegativeZero ? 0x7F : 0x80) << Dropped) + Rebias) & int.MaxValue;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper)
    {
        Bytes.Load(source, out Vector128<int> first, out var second);
        lower = Widen(first);
        upper = Widen(second);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper)
    {
        Bytes.Load(source, out Vector256<int> first, out var second);
        lower = Widen(first);
        upper = Widen(second);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper)
    {
        if (Avx512Vbmi.IsSupported)
        {
            var brain = TLayout.LoadBrain(source);
            lower = (Vector512.WidenLower(brain) << 16).AsSingle();
            upper = (Vector512.WidenUpper(brain) << 16).AsSingle();
            return;
        }

        Bytes.Load(source, out Vector512<int> first, out var second);
        lower = Widen(first);
        upper = Widen(second);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> LoadBrain(byte* source) => TLayout.LoadBrain(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector128<float> lower, Vector128<float> upper)
        where TStores : struct, IStores =>
        TStores.Store(destination, Bytes.Narrow(Narrow(lower), Narrow(upper)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector256<float> lower, Vector256<float> upper)
        where TStores : struct, IStores =>
        TStores.Store(destination, Bytes.Narrow(Narrow(lower), Narrow(upper)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TStores>(byte* destination, Vector512<float> lower, Vector512<float> upper)
        where TStores : struct, IStores =>
        TStores.Store(destination, Bytes.Narrow(Narrow(lower), Narrow(upper)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Widen(Vector128<int> stored)
    {
        var shifted = stored << Dropped;
        var magnitude = shifted & Vector128.Create(0x7F << Dropped);
        var number = Vector128.ConditionalSelect(
            Vector128.LessThan(magnitude, Vector128.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector128.Create(SmallestNormal)).AsSingle() - Vector128.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector128.Create(Rebias)).AsSingle()).AsInt32();
        var sign = shifted & Vector128.Create(int.MinValue);
        if (!TLayout.HasNegativeZero)
        {
            return Vector128.ConditionalSelect(
                Vector128.Equals(stored, Vector128.Create(-0x80)), Vector128.Create(SingleNaN), number | sign).AsSingle();
        }

        if (TLayout.HasInfinity)
        {
            number = Vector128.ConditionalSelect(
                Vector128.GreaterThan(magnitude, Vector128.Create((0x7C << Dropped) - 1)), Vector128.Create(SingleInfinity), number);
        }

        number = Vector128.ConditionalSelect(
            Vector128.GreaterThan(magnitude, Vector128.Create(LastNumber << Dropped)), Vector128.Create(SingleNaN), number);
        return (number | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector256<int> stored)
    {
        var shifted = stored << Dropped;
        var magnitude = shifted & Vector256.Create(0x7F << Dropped);
        var number = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector256.Create(SmallestNormal)).AsSingle() - Vector256.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector256.Create(Rebias)).AsSingle()).AsInt32();
        var sign = shifted & Vector256.Create(int.MinValue);
        if (!TLayout.HasNegativeZero)
        {
            return Vector256.ConditionalSelect(
                Vector256.Equals(stored, Vector256.Create(-0x80)), Vector256.Create(SingleNaN), number | sign).AsSingle();
        }

        if (TLayout.HasInfinity)
        {
            number = Vector256.ConditionalSelect(
                Vector256.GreaterThan(magnitude, Vector256.Create((0x7C << Dropped) - 1)), Vector256.Create(SingleInfinity), number);
        }

        number = Vector256.ConditionalSelect(
            Vector256.GreaterThan(magnitude, Vector256.Create(LastNumber << Dropped)), Vector256.Create(SingleNaN), number);
        return (number | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector512<int> stored)
    {
        var shifted = stored << Dropped;
        var magnitude = shifted & Vector512.Create(0x7F << Dropped);
        var number = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(0x0080_0000)).AsSingle(),
            (magnitude + Vector512.Create(SmallestNormal)).AsSingle() - Vector512.Create(SmallestNormal).AsSingle(),
            (magnitude + Vector512.Create(Rebias)).AsSingle()).AsInt32();
        var sign = shifted & Vector512.Create(int.MinValue);
        if (!TLayout.HasNegativeZero)
        {
            return Vector512.ConditionalSelect(
                Vector512.Equals(stored, Vector512.Create(-0x80)), Vector512.Create(SingleNaN), number | sign).AsSingle();
        }

        if (TLayout.HasInfinity)
        {
            number = Vector512.ConditionalSelect(
                Vector512.GreaterThan(magnitude, Vector512.Create((0x7C << Dropped) - 1)), Vector512.Create(SingleInfinity), number);
        }

        number = Vector512.ConditionalSelect(
            Vector512.GreaterThan(magnitude, Vector512.Create(LastNumber << Dropped)), Vector512.Create(SingleNaN), number);
        return (number | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Narrow(Vector128<float> single)
    {
        var magnitude = single.AsInt32() & Vector128.Create(int.MaxValue);
        var bounded = Vector128.Min(magnitude, Vector128.Create(Overflow));
        var exponent = Vector128.Max(bounded & Vector128.Create(SingleInfinity), Vector128.Create(SmallestNormal));
        var rounded = bounded.AsSingle() + (exponent + Vector128.Create(Rounder)).AsSingle();
        var code = rounded.AsInt32() + (exponent >>> Dropped);
        if (TLayout.HasInfinity)
        {
            code = Vector128.ConditionalSelect(
                Vector128.GreaterThan(magnitude, Vector128.Create(SingleInfinity)), Vector128.Create(0x7F), code);
        }

        var sign = (single.AsInt32() >>> 24) & Vector128.Create(0x80);
        if (TLayout.HasNegativeZero)
        {
            return code | sign;
        }

        var whole = code & Vector128.Create(0xFF);
        return whole | ((whole + Vector128.Create(0x7F)) & sign);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Narrow(Vector256<float> single)
    {
        var magnitude = single.AsInt32() & Vector256.Create(int.MaxValue);
        var bounded = Vector256.Min(magnitude, Vector256.Create(Overflow));
        var exponent = Vector256.Max(bounded & Vector256.Create(SingleInfinity), Vector256.Create(SmallestNormal));
        var rounded = bounded.AsSingle() + (exponent + Vector256.Create(Rounder)).AsSingle();
        var code = rounded.AsInt32() + (exponent >>> Dropped);
        if (TLayout.HasInfinity)
        {
            code = Vector256.ConditionalSelect(
                Vector256.GreaterThan(magnitude, Vector256.Create(SingleInfinity)), Vector256.Create(0x7F), code);
        }

        var sign = (single.AsInt32() >>> 24) & Vector256.Create(0x80);
        if (TLayout.HasNegativeZero)
        {
            return code | sign;
        }

        var whole = code & Vector256.Create(0xFF);
        return whole | ((whole + Vector256.Create(0x7F)) & sign);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Narrow(Vector512<float> single)
    {
        var magnitude = single.AsInt32() & Vector512.Create(int.MaxValue);
        var bounded = Vector512.Min(magnitude, Vector512.Create(Overflow));
        var exponent = Vector512.Max(bounded & Vector512.Create(SingleInfinity), Vector512.Create(SmallestNormal));
        var rounded = bounded.AsSingle() + (exponent + Vector512.Create(Rounder)).AsSingle();
        var code = rounded.AsInt32() + (exponent >>> Dropped);
        if (TLayout.HasInfinity)
        {
            code = Vector512.ConditionalSelect(
                Vector512.GreaterThan(magnitude, Vector512.Create(SingleInfinity)), Vector512.Create(0x7F), code);
        }

        var sign = (single.AsInt32() >>> 24) & Vector512.Create(0x80);
        if (TLayout.HasNegativeZero)
        {
            return code | sign;
        }

        var whole = code & Vector512.Create(0xFF);
        return whole | ((whole + Vector512.Create(0x7F)) & sign);
    }
}
