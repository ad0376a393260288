using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>8-bit power of two E8M0: 2^(b - 127), FF is NaN; no sign, no zero. The scale of the OCP Microscaling formats.</summary>
public readonly struct F8E8M0 : IFloat8
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat8.ToSingle(int stored) => FloatBits.F8E8M0ToSingle(stored);
}

/// <summary>F8_E8M0 in vectors, by the same steps as <see cref="FloatBits"/>.</summary>
internal readonly unsafe struct F8E8M0Vectors : IVectorSource
{
    private const int Quiet = 0x0040_0000;

    public static int Size => 1;

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
        Bytes.Load(source, out Vector512<int> first, out var second);
        lower = Widen(first);
        upper = Widen(second);
    }

    // The byte is sign-extended: -1 is the last exponent, 0 the first, and shifting drops the rest.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Widen(Vector128<int> stored)
    {
        var isFirstOrLast = Vector128.LessThan((stored + Vector128<int>.One).AsUInt32(), Vector128.Create(2u)).AsInt32();
        return (((stored << 23) & Vector128.Create(int.MaxValue)) | (isFirstOrLast & Vector128.Create(Quiet))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector256<int> stored)
    {
        var isFirstOrLast = Vector256.LessThan((stored + Vector256<int>.One).AsUInt32(), Vector256.Create(2u)).AsInt32();
        return (((stored << 23) & Vector256.Create(int.MaxValue)) | (isFirstOrLast & Vector256.Create(Quiet))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector512<int> stored)
    {
        var isFirstOrLast = Vector512.LessThan((stored + Vector512<int>.One).AsUInt32(), Vector512.Create(2u)).AsInt32();
        return (((stored << 23) & Vector512.Create(int.MaxValue)) | (isFirstOrLast & Vector512.Create(Quiet))).AsSingle();
    }
}
