using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>Quants of four bits, two a byte.</summary>
internal static unsafe class Nibbles
{
    /// <summary>The low four bits of each byte of an <see cref="int"/>.</summary>
    public const int Mask = 0x0F0F_0F0F;

    /// <summary>The low four bits of 16 bytes, then their high four bits: how ggml lays out 32 quants.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Load(byte* source)
    {
        var stored = Vector128.Load(source);

        // Shifted by words: there is no shift of bytes, and what comes over from the neighbour is masked anyway.
        return Vector256.Create(stored, (stored.AsUInt16() >>> 4).AsByte()) & Vector256.Create((byte)0xF);
    }

    /// <summary>The low four bits of 8 bytes, then their high four bits, and the same of the next 8: how NVFP4 lays them out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LoadEights(byte* source)
    {
        var stored = Vector128.Load(source);
        var twice = Vector256.Shuffle(Vector256.Create(stored, stored).AsInt64(), Vector256.Create(0L, 0, 3, 3)).AsByte();
        var isUpper = Vector256.Create(0L, -1, 0, -1).AsByte();
        return Vector256.ConditionalSelect(isUpper, (twice.AsUInt16() >>> 4).AsByte(), twice) & Vector256.Create((byte)0xF);
    }
}
