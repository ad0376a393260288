using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The scales of a super-block's blocks, made all at once: the super-block's scale times small whole numbers, exact in float32.
/// They are meant to be left in a local and read through a pointer, since a broadcast from memory costs less than one from a
/// lane.
/// </summary>
internal static class BlockScales
{
    /// <summary>scale * each of eight numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(float scale, Vector256<int> numbers)
    {
        var scales = Vector256.Create(scale);
        return DefinedNaN.OfProduct(Vector256.ConvertToSingle(numbers) * scales, scales);
    }

    /// <summary>scale * each of eight signed bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(float scale, ulong bytes) => Multiply(scale, Widen(Vector128.CreateScalarUnsafe(bytes).AsSByte()));

    /// <summary>scale * each of sixteen signed bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SixteenScales Multiply(float scale, Vector128<sbyte> bytes) =>
        new(Multiply(scale, Widen(bytes)), Multiply(scale, Widen(Vector128.Shuffle(bytes.AsInt64(), Vector128.Create(1L, 1L)).AsSByte())));

    /// <summary>The low, then the high four bits of each of eight bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Nibbles(ulong bytes)
    {
        var both = Vector128.Create(bytes & 0x0F0F_0F0F_0F0F_0F0F, (bytes >> 4) & 0x0F0F_0F0F_0F0F_0F0F).AsByte();
        return Vector128.Shuffle(both, Vector128.Create((byte)0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Widen(Vector128<sbyte> bytes)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.ConvertToVector256Int32(bytes);
        }

        var words = Vector128.WidenLower(bytes);
        return Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words));
    }
}

/// <summary>Sixteen scales in memory, in order.</summary>
internal readonly struct SixteenScales(Vector256<float> lower, Vector256<float> upper)
{
    public readonly Vector256<float> Lower = lower;
    public readonly Vector256<float> Upper = upper;
}
