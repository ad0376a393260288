namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// Super-blocks of 256 whose quants are entries of a grid. The grids are the codecs' own, which GridTests holds against
/// ggml's; what is done with them is written down here once more.
/// </summary>
internal static partial class BlockOracle
{
    private static void IQ2_XXS(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var unit = block.Slice(2 + (i / 32 * 8), 8);
            var bits = BitConverter.ToUInt32(unit[4..]);
            var scale = Half(block, 0) * (0.5f + (bits >> 28)) * 0.25f;
            var group = i % 32 / 8;
            values[i] = scale * Signed(IQ2_XXSGrid.Bytes[(unit[group] * 8) + (i % 8)], WithParity(bits >> (group * 7)), i % 8);
        }
    }

    private static void IQ2_XS(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var stored = BitConverter.ToUInt16(block[(2 + (i / 8 * 2))..]);
            var scale = Half(block, 0) * (0.5f + ((block[66 + (i / 32)] >> (i / 16 % 2 * 4)) & 15)) * 0.25f;
            values[i] = scale * Signed(IQ2_XSGrid.Bytes[(stored % 512 * 8) + (i % 8)], WithParity((uint)stored >> 9), i % 8);
        }
    }

    private static void IQ2_S(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var group = i % 32 / 8;
            var index = block[2 + (i / 8)] + (((block[66 + (i / 32)] >> (group * 2)) & 3) * 256);
            var scale = Half(block, 0) * (0.5f + ((block[74 + (i / 32)] >> (i / 16 % 2 * 4)) & 15)) * 0.25f;
            values[i] = scale * Signed(IQ2_SGrid.Bytes[(index * 8) + (i % 8)], block[34 + (i / 8)], i % 8);
        }
    }

    private static void IQ3_XXS(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var bits = BitConverter.ToUInt32(block[(66 + (i / 32 * 4))..]);
            var scale = Half(block, 0) * (0.5f + (bits >> 28)) * 0.5f;
            values[i] = scale * Signed(IQ3_XXSGrid.Bytes[(block[2 + (i / 4)] * 4) + (i % 4)], WithParity(bits >> (i % 32 / 8 * 7)), i % 8);
        }
    }

    private static void IQ3_S(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var index = block[2 + (i / 4)] + (((block[66 + (i / 32)] >> (i / 4 % 8)) & 1) * 256);
            var scale = Half(block, 0) * (1 + (2 * ((block[106 + (i / 64)] >> (i / 32 % 2 * 4)) & 15)));
            values[i] = scale * Signed(IQ3_SGrid.Bytes[(index * 4) + (i % 4)], block[74 + (i / 8)], i % 8);
        }
    }

    private static void IQ1_S(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var high = BitConverter.ToUInt16(block[(34 + (i / 32 * 2))..]);
            var index = block[2 + (i / 8)] + (((high >> (i % 32 / 8 * 3)) & 7) * 256);
            var scale = Half(block, 0) * ((2 * ((high >> 12) & 7)) + 1);
            values[i] = scale * (Ternary(index, i % 8) + (high >= 0x8000 ? -0.125f : 0.125f));
        }
    }

    private static void IQ1_M(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scales = new ushort[4];
        var half = 0;
        for (var i = 0; i < 4; i++)
        {
            scales[i] = BitConverter.ToUInt16(block[(48 + (i * 2))..]);
            half |= (scales[i] >> 12) << (i * 4);
        }

        for (var i = 0; i < 256; i++)
        {
            var high = (block[32 + (i / 16)] >> (i / 8 % 2 * 4)) & 15;
            var index = block[i / 8] + ((high & 7) * 256);
            var scale = (float)BitConverter.UInt16BitsToHalf((ushort)half) * ((2 * ((scales[i / 64] >> (i / 16 % 4 * 3)) & 7)) + 1);
            values[i] = scale * (Ternary(index, i % 8) + (high >= 8 ? -0.125f : 0.125f));
        }
    }

    /// <summary>Seven signs and an eighth that makes their number even.</summary>
    private static int WithParity(uint bits)
    {
        var seven = bits & 127;
        return (int)(seven + (uint.PopCount(seven) % 2 * 128));
    }

    // Signed before it is multiplied: a NaN times -1 might change its sign, as ggml's does not.
    private static int Signed(int magnitude, int signs, int bit) => ((signs >> bit) & 1) == 0 ? magnitude : -magnitude;

    /// <summary>-1, 0 or 1; the codecs' grid has eight times that.</summary>
    private static int Ternary(int index, int value) => (sbyte)IQ1Grid.Bytes[(index * 8) + value] / 8;
}
