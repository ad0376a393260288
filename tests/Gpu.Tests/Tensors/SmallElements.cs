using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>F4 and F6 elements one by one, by their definition: bits from the lowest of the first byte on, and a table of values.</summary>
internal static class SmallElements
{
    public static readonly DType[] Types = [DType.F4, DType.F6_E2M3, DType.F6_E3M2];

    /// <summary>The F32 of an element of a group that begins at <paramref name="group"/>.</summary>
    public static float Single(ReadOnlySpan<byte> group, DType dtype, int element)
    {
        var width = dtype.BlockSize * 8 / dtype.BlockLength;
        ulong code = 0;
        for (var bit = 0; bit < width; bit++)
        {
            var at = (element * width) + bit;
            code |= (ulong)((group[at / 8] >> (at % 8)) & 1) << bit;
        }

        return BitConverter.UInt32BitsToSingle((uint)FloatTable.Of(dtype).ToSingle(code));
    }
}
