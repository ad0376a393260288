namespace IlgpuLoader.Gpu.Tests;

/// <summary>One scale for all values of a block, quants of one to eight bits.</summary>
internal static partial class BlockOracle
{
    private static void Q4_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        for (var i = 0; i < 16; i++)
        {
            values[i] = ((block[2 + i] & 15) - 8) * scale;
            values[i + 16] = ((block[2 + i] >> 4) - 8) * scale;
        }
    }

    private static void Q4_1(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        var minimum = Half(block, 2);
        for (var i = 0; i < 16; i++)
        {
            values[i] = Sum((block[4 + i] & 15) * scale, minimum);
            values[i + 16] = Sum((block[4 + i] >> 4) * scale, minimum);
        }
    }

    private static void Q5_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        for (var i = 0; i < 16; i++)
        {
            values[i] = ((block[6 + i] & 15) + (16 * Bit(block[2..], i)) - 16) * scale;
            values[i + 16] = ((block[6 + i] >> 4) + (16 * Bit(block[2..], i + 16)) - 16) * scale;
        }
    }

    private static void Q5_1(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        var minimum = Half(block, 2);
        for (var i = 0; i < 16; i++)
        {
            values[i] = Sum(((block[8 + i] & 15) + (16 * Bit(block[4..], i))) * scale, minimum);
            values[i + 16] = Sum(((block[8 + i] >> 4) + (16 * Bit(block[4..], i + 16))) * scale, minimum);
        }
    }

    private static void Q8_0(ReadOnlySpan<byte> block, Span<float> values) => Signed(block[2..], values, Half(block, 0));

    private static void Q8_1(ReadOnlySpan<byte> block, Span<float> values) => Signed(block[4..], values, Half(block, 0));

    private static void Q8_K(ReadOnlySpan<byte> block, Span<float> values) => Signed(block[4..], values, BitConverter.ToSingle(block));

    private static void Q1_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = Bit(block[2..], i) == 1 ? scale : -scale;
        }
    }

    private static void Q2_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 0);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (Bit(block[2..], 2 * i) + (2 * Bit(block[2..], (2 * i) + 1)) - 1) * scale;
        }
    }

    private static void TQ1_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 52);
        var position = 0;

        // Parts of 32, 16 and 4 bytes: a part's first digits, then its second ones.
        foreach (var (first, length, digits) in new[] { (0, 32, 5), (32, 16, 5), (48, 4, 4) })
        {
            for (var digit = 0; digit < digits; digit++)
            {
                for (var i = 0; i < length; i++)
                {
                    var shifted = (byte)(block[first + i] * (int)Math.Pow(3, digit));
                    values[position++] = ((shifted * 3 / 256) - 1) * scale;
                }
            }
        }
    }

    private static void TQ2_0(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = Half(block, 64);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (((block[(i / 128 * 32) + (i % 32)] >> (i % 128 / 32 * 2)) % 4) - 1) * scale;
        }
    }

    private static void Signed(ReadOnlySpan<byte> quants, Span<float> values, float scale)
    {
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (sbyte)quants[i] * scale;
        }
    }

    // Bit i, the lowest of each byte first.
    private static int Bit(ReadOnlySpan<byte> bits, int i) => (bits[i / 8] >> (i % 8)) & 1;

    // Of two NaN, x64 keeps the first operand's, and the JIT may swap the operands of an addition: what is kept is said here.
    private static float Sum(float product, float term) => float.IsNaN(product) ? product : product + term;
}
