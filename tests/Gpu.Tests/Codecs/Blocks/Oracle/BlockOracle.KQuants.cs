namespace IlgpuLoader.Gpu.Tests;

/// <summary>Super-blocks of 256 with block scales of their own: Q2_K to Q6_K and IQ4_XS.</summary>
internal static partial class BlockOracle
{
    private static void Q2_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 80);
        var min = Half(block, 82);
        for (var i = 0; i < 256; i++)
        {
            var stored = block[16 + (i / 128 * 32) + (i % 32)];
            var quant = (stored >> (i % 128 / 32 * 2)) & 3;
            var scales = block[i / 16];
            values[i] = (scale * (scales & 15) * quant) - (min * (scales >> 4));
        }
    }

    private static void Q3_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 108);
        for (var i = 0; i < 256; i++)
        {
            var low = (block[32 + (i / 128 * 32) + (i % 32)] >> (i % 128 / 32 * 2)) & 3;
            var high = (block[i % 32] >> (i / 32)) & 1;

            // Sixteen scales: four low bits in bytes 0 to 7, low halves first, two high bits in bytes 8 to 11.
            var number = i / 16;
            var lowBits = (block[96 + (number % 8)] >> (number / 8 * 4)) & 15;
            var highBits = (block[104 + (number % 4)] >> (number / 4 * 2)) & 3;
            values[i] = scale * ((highBits * 16) + lowBits - 32) * ((high * 4) + low - 4);
        }
    }

    private static void Q4_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var quant = (block[16 + (i / 64 * 32) + (i % 32)] >> (i / 32 % 2 * 4)) & 15;
            values[i] = ScaledWithMin(block, i / 32, quant);
        }
    }

    private static void Q5_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var i = 0; i < 256; i++)
        {
            var low = (block[48 + (i / 64 * 32) + (i % 32)] >> (i / 32 % 2 * 4)) & 15;
            var high = (block[16 + (i % 32)] >> (i / 32)) & 1;
            values[i] = ScaledWithMin(block, i / 32, (high * 16) + low);
        }
    }

    private static void Q6_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 208);
        for (var i = 0; i < 256; i++)
        {
            var low = (block[(i / 128 * 64) + (i % 64)] >> (i % 128 / 64 * 4)) & 15;
            var high = (block[128 + (i / 128 * 32) + (i % 32)] >> (i % 128 / 32 * 2)) & 3;
            values[i] = scale * (sbyte)block[192 + (i / 16)] * ((high * 16) + low - 32);
        }
    }

    private static void IQ4_XS(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        var highBits = BitConverter.ToUInt16(block[2..]);
        for (var i = 0; i < 256; i++)
        {
            var number = i / 32;
            var low = (block[4 + (number / 2)] >> (number % 2 * 4)) & 15;
            var high = (highBits >> (number * 2)) & 3;
            var index = (block[8 + (number * 16) + (i % 16)] >> (i % 32 / 16 * 4)) & 15;
            values[i] = scale * ((high * 16) + low - 32) * Nonlinear[index];
        }
    }

    /// <summary>Q4_K and Q5_K: eight scales and eight minima of six bits in twelve bytes, the last four of each split up.</summary>
    private static float ScaledWithMin(ReadOnlySpan<byte> block, int number, int quant)
    {
        var packed = block.Slice(4, 12);
        var (scale, min) = number < 4
            ? (packed[number] & 63, packed[number + 4] & 63)
            : ((packed[number + 4] & 15) + (packed[number - 4] >> 6 << 4), (packed[number + 4] >> 4) + (packed[number] >> 6 << 4));
        return (Half(block, 0) * scale * quant) - (Half(block, 2) * min);
    }
}
