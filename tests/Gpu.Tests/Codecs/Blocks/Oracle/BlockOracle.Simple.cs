namespace IlgpuLoader.Gpu.Tests;

/// <summary>Blocks of 32: one scale, quants of four to eight bits.</summary>
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
}
