using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>Quants of four bits, two a byte.</summary>
internal static unsafe class Nibbles
{
    /// <summary>The low four bits of 16 bytes, then their high four bits: how ggml lays out 32 quants.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Load(byte* source)
    {
        var stored = Vector128.Load(source);
        return Vector256.Create(stored, stored >>> 4) & Vector256.Create((byte)0xF);
    }
}
