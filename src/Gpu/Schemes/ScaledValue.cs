using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>(value - zero) * scale on bits, with every NaN's bits defined. Host and devices run this same method.</summary>
internal static class ScaledValue
{
    private const int Infinity = 0x7F80_0000;
    private const int Quiet = 0x0040_0000;

    // What x64 makes of infinity times zero.
    private const int Invalid = unchecked((int)0xFFC0_0000);

    /// <summary>A value.</summary>
    /// <param name="bits">The bits of a float32.</param>
    /// <param name="scale">The bits of a float32.</param>
    /// <param name="zero">The zero point.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Of(int bits, int scale, int zero)
    {
        var product = BitConverter.SingleToInt32Bits((BitConverter.Int32BitsToSingle(bits) - zero) * BitConverter.Int32BitsToSingle(scale));
        var notANumber = IsNaN(scale) ? scale | Quiet : Invalid;
        notANumber = IsNaN(bits) ? bits | Quiet : notANumber;
        return IsNaN(product) ? notANumber : product;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsNaN(int bits) => (bits & int.MaxValue) > Infinity;
}
