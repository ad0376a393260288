using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>Bytes to sign-extended lanes of 32 bits and back, two vectors at a time.</summary>
internal static unsafe class Bytes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector128<int> lower, out Vector128<int> upper)
    {
        // As a scalar, since eight bytes are all that may be read.
        var stored = Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<long>(source)).AsSByte());
        lower = Vector128.WidenLower(stored);
        upper = Vector128.WidenUpper(stored);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector256<int> lower, out Vector256<int> upper)
    {
        if (Avx2.IsSupported)
        {
            lower = Avx2.ConvertToVector256Int32((sbyte*)source);
            upper = Avx2.ConvertToVector256Int32((sbyte*)source + Vector256<int>.Count);
        }
        else
        {
            Load(source, out Vector128<int> first, out var second);
            Load(source + 8, out Vector128<int> third, out var fourth);
            lower = Vector256.Create(first, second);
            upper = Vector256.Create(third, fourth);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* source, out Vector512<int> lower, out Vector512<int> upper)
    {
        if (Avx512F.IsSupported)
        {
            lower = Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)source));
            upper = Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)source + Vector512<int>.Count));
        }
        else
        {
            Load(source, out Vector256<int> first, out var second);
            Load(source + 16, out Vector256<int> third, out var fourth);
            lower = Vector512.Create(first, second);
            upper = Vector512.Create(third, fourth);
        }
    }

    /// <summary>The low byte of every lane, whatever is above it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector64<byte> Narrow(Vector128<int> lower, Vector128<int> upper)
    {
        var words = Vector128.Narrow(lower.AsUInt32(), upper.AsUInt32());
        return Vector128.Narrow(words, words).GetLower();
    }

    /// <inheritdoc cref="Narrow(Vector128{int}, Vector128{int})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Narrow(Vector256<int> lower, Vector256<int> upper)
    {
        var words = Vector256.Narrow(lower.AsUInt32(), upper.AsUInt32());
        return Vector128.Narrow(words.GetLower(), words.GetUpper());
    }

    /// <inheritdoc cref="Narrow(Vector128{int}, Vector128{int})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Narrow(Vector512<int> lower, Vector512<int> upper)
    {
        if (Avx512Vbmi.IsSupported)
        {
            return Avx512Vbmi.PermuteVar64x8x2(lower.AsByte(), Vector512.CreateSequence<byte>(0, 4), upper.AsByte()).GetLower();
        }

        return Avx512F.IsSupported
            ? Vector256.Create(Avx512F.ConvertToVector128Byte(lower), Avx512F.ConvertToVector128Byte(upper))
            : Vector256.Create(Narrow(lower.GetLower(), lower.GetUpper()), Narrow(upper.GetLower(), upper.GetUpper()));
    }
}
