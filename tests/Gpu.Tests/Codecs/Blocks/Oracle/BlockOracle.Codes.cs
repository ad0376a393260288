namespace IlgpuLoader.Gpu.Tests;

/// <summary>Codes of four bits that stand for 16 numbers.</summary>
internal static partial class BlockOracle
{
    // Twice the floats, which are halved with the scale; minus zero is plain zero.
    private static readonly int[] DoubledE2M1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    private static readonly int[] Nonlinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    private static void IQ4_NL(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        for (var i = 0; i < 16; i++)
        {
            values[i] = Nonlinear[block[2 + i] & 15] * scale;
            values[i + 16] = Nonlinear[block[2 + i] >> 4] * scale;
        }
    }

    private static void MXFP4(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = (float)Math.Pow(2, block[0] - 128);
        for (var i = 0; i < 16; i++)
        {
            values[i] = DoubledE2M1[block[1 + i] & 15] * scale;
            values[i + 16] = DoubledE2M1[block[1 + i] >> 4] * scale;
        }
    }

    private static void NVFP4(ReadOnlySpan<byte> block, Span<float> values)
    {
        for (var part = 0; part < 4; part++)
        {
            var scale = UE4M3(block[part]) / 2;
            for (var i = 0; i < 8; i++)
            {
                var two = block[4 + (8 * part) + i];
                values[(16 * part) + i] = DoubledE2M1[two & 15] * scale;
                values[(16 * part) + i + 8] = DoubledE2M1[two >> 4] * scale;
            }
        }
    }

    private static float UE4M3(byte code)
    {
        if (code is 0 or 0x7F)
        {
            return 0;
        }

        var exponent = (code >> 3) & 15;
        var mantissa = code & 7;
        return exponent == 0 ? mantissa / 512f : (1 + (mantissa / 8f)) * (float)Math.Pow(2, exponent - 7);
    }
}
