using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>The bits of Q5_0 and Q5_1 that do not fit the nibbles: 32 of them, bit i for quant i.</summary>
internal static unsafe class FifthBits
{
    /// <summary>Bytes of all ones where a bit is set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> AreSet(byte* source)
    {
        // Each byte of bits eight times, in one half of a vector two of them; then every lane looks at its own bit.
        var stored = Vector256.Create(Unsafe.ReadUnaligned<uint>(source)).AsByte();
        var spread = Vector256.Shuffle(stored, Vector256.Create(0L, 0x0101_0101_0101_0101, 0x1212_1212_1212_1212, 0x1313_1313_1313_1313).AsByte());
        var bit = Vector256.Create(0x8040_2010_0804_0201).AsByte();
        return Vector256.Equals(spread & bit, bit);
    }
}
