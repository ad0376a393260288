using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>Signs of grid entries, a bit a value, set where it is negative.</summary>
internal static class QuantSigns
{
    /// <summary>
    /// Completes four sets of signs to eight each: types that store seven leave out the last, which makes the number of
    /// negative values even.
    /// </summary>
    /// <param name="sevens">Seven signs in each byte, its highest bit clear.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Complete(int sevens)
    {
        // Only the lowest bit of each byte is looked at, which no bit of its neighbour reaches.
        var parity = sevens ^ (sevens >> 4);
        parity ^= parity >> 2;
        parity ^= parity >> 1;
        return sevens | ((parity & 0x0101_0101) << 7);
    }

    /// <summary>The low 28 bits as seven a byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Spread(int bits) =>
        (bits & 0x7F) | ((bits << 1) & 0x7F00) | ((bits << 2) & 0x7F_0000) | ((bits << 3) & 0x7F00_0000);

    /// <summary>Negates the quants whose bit is set: bit i is that of quant i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Apply(Vector256<sbyte> quants, int signs)
    {
        // Each byte of the signs eight times; both halves of the vector have all four, so that none crosses over.
        var ofEach = Vector256.Shuffle(
            Vector256.Create(signs).AsByte(),
            Vector256.Create(0x0000_0000_0000_0000, 0x0101_0101_0101_0101, 0x1212_1212_1212_1212, 0x1313_1313_1313_1313).AsByte());
        var bits = Vector256.Create(0x8040_2010_0804_0201).AsByte();
        var negative = Vector256.Equals(ofEach & bits, bits).AsSByte();
        return (quants ^ negative) - negative;
    }
}
