using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The magnitudes of an 8-bit float as BF16, in which all of them are exact: 128 upper and 128 lower bytes, each table a pair
/// of vectors that one permutation looks 64 values up in (AVX-512 VBMI). Made by the scalar body.
/// </summary>
/// <typeparam name="TFloat">The type.</typeparam>
internal static unsafe class BrainTables<TFloat>
    where TFloat : struct, IFloat8
{
    private static readonly Vector512<byte> FirstLower = Make(0, 16);
    private static readonly Vector512<byte> SecondLower = Make(64, 16);
    private static readonly Vector512<byte> FirstUpper = Make(0, 24);
    private static readonly Vector512<byte> SecondUpper = Make(64, 24);

    /// <summary>Looks up the magnitudes of 32 bytes and gives each its sign.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> Load(byte* source)
    {
        var stored = Avx512BW.ConvertToVector512UInt16(Vector256.Load(source));

        // Each byte in both halves of its lane: one half looks up lower bytes, the other upper ones.
        var both = (stored | (stored << 8)).AsByte();
        var lower = Avx512Vbmi.PermuteVar64x8x2(FirstLower, both, SecondLower);
        var upper = Avx512Vbmi.PermuteVar64x8x2(FirstUpper, both, SecondUpper);
        var magnitude = Vector512.ConditionalSelect(Vector512.Create((ushort)0x00FF), lower.AsUInt16(), upper.AsUInt16());
        return magnitude | (both.AsUInt16() & Vector512.Create((ushort)0x8000));
    }

    private static Vector512<byte> Make(int first, int shift)
    {
        var bytes = stackalloc byte[64];
        for (var i = 0; i < 64; i++)
        {
            bytes[i] = (byte)(TFloat.ToSingle(first + i) >> shift);
        }

        return Vector512.Load(bytes);
    }
}
