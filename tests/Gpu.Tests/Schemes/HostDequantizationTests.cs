using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The host's ways through scaled blocks: vectors and the scalar body, one thread and several, give the same bits.</summary>
[Trait("Area", "Host")]
public sealed class HostDequantizationTests
{
    [Fact]
    public void Vectors_give_what_the_scalar_body_gives_for_every_code_length_and_scale()
    {
        // Every code, NaN included, in rows of every length up to beyond two vectors, under scales that are none.
        int[] scales = [0x3F80_0000, 0x3F8C_CCCD, 0x7F80_0001, 0x7F80_0000, 0, 1, unchecked((int)0xFF7F_FFFF), 0x7FC0_1234];
        foreach (var stored in BlockScaledScheme.Stored)
        {
            foreach (var target in BlockScaledScheme.Targets)
            {
                foreach (var columns in (int[])[1, 3, 16, 17, 31, 64, 100, 1030])
                {
                    Check(stored, target, scales.Length, columns, new BlockScaledScheme(1, long.MaxValue), scales);
                }
            }
        }
    }

    [Theory]
    [InlineData(16, 1)]
    [InlineData(17, 3)]
    [InlineData(64, 2)]
    [InlineData(1000, 5)]
    public void Segments_end_where_blocks_do(int blockColumns, int blockRows)
    {
        const int columns = 2100;
        var scheme = new BlockScaledScheme(blockRows, blockColumns);
        var count = (int)scheme.ScaleShape(new Shape(7, columns)).ElementCount;
        var random = new Random(blockColumns);
        Check(DType.F8_E4M3, DType.BF16, 7, columns, scheme, [.. Enumerable.Range(0, count).Select(_ => BitConverter.SingleToInt32Bits(random.NextSingle()))]);
    }

    [Fact]
    public void Several_threads_give_what_one_gives()
    {
        // Beyond what one thread is given; the scalar body once more on one thread, row by row.
        const int rows = 600;
        const int columns = 700;
        var random = new Random(3);
        var scheme = new BlockScaledScheme(128, 128);
        var payload = SchemeCase.Numbers(random, DType.F8_E4M3, rows * columns);
        var scales = SchemeCase.Numbers(random, DType.F32, 5 * 6);
        using var matrix = Tensor.FromValues<byte>(DType.F8_E4M3, new Shape(rows, columns), payload);
        using var scale = Tensor.FromValues<byte>(DType.F32, new Shape(5, 6), scales);
        using var values = matrix.Dequantize(scheme, new QuantizationCompanions(scale), DType.BF16);
        for (var row = 0; row < rows; row++)
        {
            using var line = matrix.Narrow(0, row, 1);
            using var own = scale.Narrow(0, row / 128, 1);
            using var alone = line.Dequantize(new BlockScaledScheme(1, 128), new QuantizationCompanions(own), DType.BF16);
            Assert.Equal(alone.AsReadOnlySpan<byte>(), values.GetReadOnlySpan<byte>(row * columns * 2L, columns * 2));
        }
    }

    private static void Check(DType stored, DType target, int rows, int columns, BlockScaledScheme scheme, int[] scales)
    {
        var shape = new Shape(rows, columns);
        var bytes = DeviceBytes.Random(columns, stored.ByteCount(shape.ElementCount));
        using var matrix = Tensor.FromValues<byte>(stored, shape, bytes);
        using var scale = Tensor.FromValues<int>(DType.F32, scheme.ScaleShape(shape), scales);
        var source = new QuantizedView(scheme, matrix.AsStridedView(), scale.AsStridedView());
        using var inVectors = Tensor.Empty(target, shape);
        using var one = Tensor.Empty(target, shape);
        HostDequantization.RunBlocks(scheme, source.Checked(inVectors.AsStridedView()), inVectors.AsStridedView(), inVectors: true);
        HostDequantization.RunBlocks(scheme, source.Checked(one.AsStridedView()), one.AsStridedView(), inVectors: false);
        Assert.Equal(one.AsReadOnlySpan<byte>(), inVectors.AsReadOnlySpan<byte>());
    }
}
