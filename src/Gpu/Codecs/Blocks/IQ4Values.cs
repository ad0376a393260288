using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>The sixteen values that the four bits of a quant stand for in IQ4_NL and IQ4_XS, fixed by ggml.</summary>
internal static class IQ4Values
{
    // -127, -104, -83, -65, -49, -35, -22, -10 and 1, 13, 25, 38, 53, 69, 89, 113; the first in the lowest byte.
    private const long Lower = unchecked((long)0xF6EA_DDCF_BFAD_9881);
    private const long Upper = 0x7159_4535_2619_0D01;

    /// <summary>Four of the values, in the bytes of an integer.</summary>
    /// <param name="quants">Four numbers of four bits, a byte each.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LookUp(int quants) =>
        LookUpOne(quants) | (LookUpOne(quants >> 8) << 8) | (LookUpOne(quants >> 16) << 16) | (LookUpOne(quants >> 24) << 24);

    /// <summary>32 of the values.</summary>
    /// <param name="quants">Numbers of four bits, a byte each.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> LookUp(Vector256<byte> quants)
    {
        var values = Vector128.Create(Lower, Upper).AsByte();
        return Avx2.IsSupported
            ? Avx2.Shuffle(Vector256.Create(values, values), quants).AsSByte()
            : Vector256.Create(Vector128.ShuffleNative(values, quants.GetLower()), Vector128.ShuffleNative(values, quants.GetUpper())).AsSByte();
    }

    // Chosen by a mask: which half a quant is in is anyone's guess, and the JIT jumps in loops.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int LookUpOne(int quant)
    {
        var isUpper = -(long)((quant >> 3) & 1);
        return (int)((Lower ^ ((Lower ^ Upper) & isUpper)) >> ((quant & 7) * 8)) & 0xFF;
    }
}
