using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Matrices with scales and zero points of their own become values, the same on every device.</summary>
[Trait("Area", "Devices")]
public abstract class DequantizeTests(TestDevice kind)
{
    private Device Device { get; } = kind == TestDevice.Host ? new HostDevice() : TestDevices.Get(kind);

    public static TheoryData<DType, DType, DType, int, int, long, long> Blocks => new()
    {
        // DeepSeek's: whole blocks, and ragged ones in both dimensions.
        { DType.F8_E4M3, DType.F32, DType.BF16, 128, 256, 128, 128 },
        { DType.F8_E4M3, DType.F32, DType.BF16, 150, 300, 128, 128 },
        { DType.F8_E4M3, DType.BF16, DType.F16, 129, 130, 128, 128 },
        { DType.F8_E5M2, DType.F32, DType.F32, 17, 33, 16, 32 },
        { DType.F8_E4M3FNUZ, DType.F32, DType.BF16, 9, 20, 4, 8 },
        { DType.F8_E5M2FNUZ, DType.F16, DType.F32, 9, 20, 4, 8 },
        // Blocks that end inside four columns, and odd widths.
        { DType.F8_E4M3, DType.F32, DType.BF16, 7, 13, 3, 5 },
        { DType.F8_E4M3, DType.F32, DType.F32, 5, 7, 1, 1 },
        { DType.F8_E4M3, DType.F32, DType.F16, 1, 1, 128, 128 },
        { DType.I8, DType.F32, DType.BF16, 33, 70, 1, long.MaxValue },
        { DType.I8, DType.F16, DType.F16, 6, 1030, 1, long.MaxValue },
        { DType.I8, DType.BF16, DType.BF16, 11, 64, long.MaxValue, long.MaxValue },
        // What is scaled to become 8 bits.
        { DType.BF16, DType.F32, DType.F8_E4M3, 9, 37, long.MaxValue, long.MaxValue },
        { DType.F16, DType.F32, DType.F8_E4M3, 3, 64, long.MaxValue, long.MaxValue },
        { DType.F32, DType.F32, DType.F8_E4M3, 3, 5, 1, long.MaxValue },
    };

    public static TheoryData<int, int, int, int, int, DType, DType> Packed => new()
    {
        { 4, 1, 16, 64, 32, DType.F16, DType.BF16 },
        { 4, 1, 24, 128, 128, DType.F16, DType.F16 },
        { 4, 0, 8, 64, 16, DType.BF16, DType.F32 },
        // More outputs than whole tiles and words hold, groups that end inside a word, and a last group that is not full.
        { 4, 1, 13, 40, 12, DType.F16, DType.BF16 },
        { 8, 1, 12, 32, 16, DType.F16, DType.BF16 },
        { 8, 0, 5, 12, 6, DType.F32, DType.F32 },
        { 2, 1, 33, 64, 32, DType.F16, DType.F16 },
        { 4, 1, 1, 8, 8, DType.F16, DType.F32 },
    };

    [DeviceTheory]
    [MemberData(nameof(Blocks))]
    public void Scaled_blocks_become_values(DType stored, DType scaleType, DType target, int rows, int columns, long blockRows, long blockColumns)
    {
        var random = new Random(rows * columns);
        var scheme = new BlockScaledScheme(blockRows, blockColumns);
        var grid = scheme.ScaleShape(new Shape(rows, columns));
        var payload = SchemeCase.Numbers(random, stored, (long)rows * columns);
        var scales = SchemeCase.Numbers(random, scaleType, grid.ElementCount);
        var expected = SchemeCase.Blocks(payload, stored, scales, scaleType, null, rows, columns, blockRows, blockColumns, target);
        using (var matrix = SchemeCase.Put(Device, stored, rows, columns, payload))
        using (var scale = SchemeCase.Put(Device, scaleType, (int)grid[0], (int)grid[1], scales))
        using (var values = matrix.Dequantize(scheme, new QuantizationCompanions(scale), target))
        {
            Assert.Equal((target, new Shape(rows, columns), Device), (values.DType, values.Shape, values.Device));
            Assert.Equal(expected, DeviceBytes.Values(values));
        }

        DeviceBytes.CheckNothingStays(Device);
    }

    [DeviceTheory]
    [InlineData(1, long.MaxValue)]
    [InlineData(long.MaxValue, long.MaxValue)]
    [InlineData(4, 8)]
    public void Zero_points_are_taken_away_first(long blockRows, long blockColumns)
    {
        const int rows = 9;
        const int columns = 42;
        var random = new Random(1);
        var scheme = new BlockScaledScheme(blockRows, blockColumns);
        var grid = scheme.ScaleShape(new Shape(rows, columns));
        var payload = SchemeCase.Numbers(random, DType.I8, rows * columns);
        var scales = SchemeCase.Numbers(random, DType.F32, grid.ElementCount);
        var zeros = SchemeCase.Numbers(random, DType.I8, grid.ElementCount);
        (payload[0], zeros[0]) = (0x80, 0x7F);
        var expected = SchemeCase.Blocks(payload, DType.I8, scales, DType.F32, zeros, rows, columns, blockRows, blockColumns, DType.BF16);
        using var matrix = SchemeCase.Put(Device, DType.I8, rows, columns, payload);
        using var scale = SchemeCase.Put(Device, DType.F32, (int)grid[0], (int)grid[1], scales);
        using var zero = SchemeCase.Put(Device, DType.I8, (int)grid[0], (int)grid[1], zeros);
        using var values = matrix.Dequantize(scheme, new QuantizationCompanions(scale, zero), DType.BF16);
        Assert.Equal(expected, DeviceBytes.Values(values));
    }

    [DeviceTheory]
    [InlineData(0, 0, 0, 0)]
    [InlineData(1, 3, 0, 0)]
    [InlineData(4, 4, 4, 2)]
    [InlineData(2, 0, 1, 1)]
    [InlineData(5, 1, 6, 6)]
    public void Blocks_may_lie_anywhere_and_nothing_around_the_result_is_touched(int skip, int gap, int scaleSkip, int resultSkip)
    {
        const int rows = 11;
        const int columns = 22;
        var random = new Random(skip);
        var scheme = new BlockScaledScheme(4, 8);
        var grid = scheme.ScaleShape(new Shape(rows, columns));
        var payload = SchemeCase.Numbers(random, DType.F8_E4M3, rows * columns);
        var scales = SchemeCase.Numbers(random, DType.F32, grid.ElementCount);
        var expected = SchemeCase.Blocks(payload, DType.F8_E4M3, scales, DType.F32, null, rows, columns, 4, 8, DType.BF16);
        using var matrix = SchemeCase.Put(Device, DType.F8_E4M3, rows, columns, payload, skip, gap);
        using var scale = SchemeCase.Put(Device, DType.F32, (int)grid[0], (int)grid[1], scales, scaleSkip, gap);
        var before = DeviceBytes.Random(9, resultSkip + expected.Length + 5);
        using var memory = DeviceBytes.Put(Device, before);
        using var result = new Tensor(memory, DType.BF16, new Shape(rows, columns), default, resultSkip);
        result.DequantizeFrom(matrix, scheme, new QuantizationCompanions(scale));
        expected.CopyTo(before.AsSpan(resultSkip));
        Assert.Equal(before, DeviceBytes.Get(memory));
    }

    [DeviceFact]
    public void What_is_no_number_has_the_same_bits_everywhere()
    {
        // NaN and the largest number under scales of one, NaN (signalling), infinity, zero and a negative number.
        byte[] row = [0x7F, 0xFF, 0x7E, 0x00, 0x80, 0x38, 0xB8, 0x7F, .. Enumerable.Repeat((byte)0x38, 40)];
        int[] scales = [0x3F80_0000, 0x7F80_0001, 0x7F80_0000, 0, unchecked((int)0xC000_0000)];
        using var matrix = SchemeCase.Put(Device, DType.F8_E4M3, scales.Length, row.Length, [.. scales.SelectMany(_ => row)]);
        using var scale = SchemeCase.Put(Device, DType.F32, scales.Length, 1, MemoryMarshal.AsBytes(scales.AsSpan()));
        using var values = matrix.Dequantize(BlockScaledScheme.PerRow, new QuantizationCompanions(scale), DType.F32);
        var bits = MemoryMarshal.Cast<byte, uint>(DeviceBytes.Values(values)).ToArray().Chunk(row.Length).Select(line => line[..8]).ToArray();
        Assert.Equal([0x7FC0_0000, 0xFFC0_0000, 0x43E0_0000, 0x0000_0000, 0x8000_0000, 0x3F80_0000, 0xBF80_0000, 0x7FC0_0000], bits[0]);
        Assert.Equal([0x7FC0_0000, 0xFFC0_0000, 0x7FC0_0001, 0x7FC0_0001, 0x7FC0_0001, 0x7FC0_0001, 0x7FC0_0001, 0x7FC0_0000], bits[1]);
        Assert.Equal([0x7FC0_0000, 0xFFC0_0000, 0x7F80_0000, 0xFFC0_0000, 0xFFC0_0000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000], bits[2]);
        Assert.Equal([0x7FC0_0000, 0xFFC0_0000, 0x0000_0000, 0x0000_0000, 0x8000_0000, 0x0000_0000, 0x8000_0000, 0x7FC0_0000], bits[3]);
        Assert.Equal([0x7FC0_0000, 0xFFC0_0000, 0xC460_0000, 0x8000_0000, 0x0000_0000, 0xC000_0000, 0x4000_0000, 0x7FC0_0000], bits[4]);
    }

    [DeviceTheory]
    [MemberData(nameof(Packed))]
    public void Packed_numbers_become_values_in_the_order_of_their_groups(
        int bits, int offset, int outputs, int inputs, int groupSize, DType scaleType, DType target) =>
        CheckGptq(bits, offset, outputs, inputs, groupSize, scaleType, target, null);

    [DeviceTheory]
    [MemberData(nameof(Packed))]
    public void Packed_numbers_become_values_by_the_groups_of_their_inputs(
        int bits, int offset, int outputs, int inputs, int groupSize, DType scaleType, DType target)
    {
        // As act-order leaves them: any order, and not all groups are there on every rank.
        var groups = (inputs + groupSize - 1) / groupSize;
        CheckGptq(bits, offset, outputs, inputs, groupSize, scaleType, target, [.. Enumerable.Range(0, inputs).Select(input => (input * 7) % (groups + 1) % groups)]);
    }

    [DeviceTheory]
    [InlineData(0, 0, 0, 0)]
    [InlineData(4, 3, 2, 8)]
    [InlineData(1, 0, 0, 0)]
    [InlineData(3, 5, 1, 6)]
    public void Packed_numbers_may_lie_anywhere(int skip, int gap, int scaleSkip, int resultSkip)
    {
        const int outputs = 19;
        const int inputs = 48;
        var random = new Random(3);
        var (words, zeros, scales) = Gptq(random, 4, outputs, inputs, 3, DType.F16);
        var expected = SchemeCase.Gptq(4, 1, words, zeros, scales, DType.F16, outputs, inputs, input => input / 16, DType.BF16);
        using var matrix = SchemeCase.Put(Device, DType.I32, inputs / 8, outputs, MemoryMarshal.AsBytes(words.AsSpan()), skip, gap);
        using var scale = SchemeCase.Put(Device, DType.F16, 3, outputs, scales, scaleSkip, gap);
        using var zero = SchemeCase.Put(Device, DType.I32, 3, 3, MemoryMarshal.AsBytes(zeros.AsSpan()), skip, gap);
        var before = DeviceBytes.Random(9, resultSkip + expected.Length + 5);
        using var memory = DeviceBytes.Put(Device, before);
        using var result = new Tensor(memory, DType.BF16, new Shape(outputs, inputs), default, resultSkip);
        result.DequantizeFrom(matrix, new GptqScheme(4, 16), new QuantizationCompanions(scale, zero));
        expected.CopyTo(before.AsSpan(resultSkip));
        Assert.Equal(before, DeviceBytes.Get(memory));
    }

    [DeviceFact]
    public void A_group_that_is_not_there_is_refused_before_anything_is_read()
    {
        var (words, zeros, scales) = Gptq(new Random(4), 4, 8, 16, 2, DType.F16);
        using var matrix = SchemeCase.Put(Device, DType.I32, 2, 8, MemoryMarshal.AsBytes(words.AsSpan()));
        using var scale = SchemeCase.Put(Device, DType.F16, 2, 8, scales);
        using var zero = SchemeCase.Put(Device, DType.I32, 2, 1, MemoryMarshal.AsBytes(zeros.AsSpan()));
        foreach (var wrong in new[] { 2, -1 })
        {
            int[] indices = [.. Enumerable.Repeat(1, 9), wrong, .. Enumerable.Repeat(0, 6)];
            using var groups = Groups(indices);
            var exception = Assert.Throws<ArgumentException>(
                () => matrix.Dequantize(new GptqScheme(4, 8), new QuantizationCompanions(scale, zero, groups), DType.F16));
            Assert.Contains($"group {wrong} for input 9, and there are 2 groups", exception.Message, StringComparison.Ordinal);
        }
    }

    [DeviceFact]
    public void An_empty_matrix_has_no_values()
    {
        using var matrix = SchemeCase.Put(Device, DType.F8_E4M3, 0, 5, []);
        using var scale = Tensor.Empty(DType.F32, new Shape(0, 1), Device);
        using var values = matrix.Dequantize(new BlockScaledScheme(128, 128), new QuantizationCompanions(scale), DType.BF16);
        Assert.Equal(new Shape(0, 5), values.Shape);
    }

    private void CheckGptq(int bits, int offset, int outputs, int inputs, int groupSize, DType scaleType, DType target, int[]? indices)
    {
        var count = (inputs + groupSize - 1) / groupSize;
        var (words, zeros, scales) = Gptq(new Random(outputs), bits, outputs, inputs, count, scaleType);
        // The largest zero point, which an offset of 1 takes beyond its bits.
        zeros[0] |= (1U << bits) - 1;
        var expected = SchemeCase.Gptq(
            bits, offset, words, zeros, scales, scaleType, outputs, inputs, input => indices is null ? input / groupSize : indices[input], target);
        using (var matrix = SchemeCase.Put(Device, DType.I32, inputs * bits / 32, outputs, MemoryMarshal.AsBytes(words.AsSpan())))
        using (var scale = SchemeCase.Put(Device, scaleType, count, outputs, scales))
        using (var zero = SchemeCase.Put(Device, DType.I32, count, zeros.Length / count, MemoryMarshal.AsBytes(zeros.AsSpan())))
        using (var groups = indices is null ? null : Groups(indices))
        using (var values = matrix.Dequantize(new GptqScheme(bits, groupSize, offset), new QuantizationCompanions(scale, zero, groups), target))
        {
            Assert.Equal((target, new Shape(outputs, inputs)), (values.DType, values.Shape));
            Assert.Equal(expected, DeviceBytes.Values(values));
        }

        DeviceBytes.CheckNothingStays(Device);
    }

    private Tensor Groups(int[] indices)
    {
        using var matrix = SchemeCase.Put(Device, DType.I32, 1, indices.Length, MemoryMarshal.AsBytes(indices.AsSpan()));
        return matrix.Select(0, 0);
    }

    private static (uint[] Words, uint[] Zeros, byte[] Scales) Gptq(Random random, int bits, int outputs, int inputs, int groups, DType scaleType)
    {
        var perWord = 32 / bits;
        return (Words(inputs / perWord * outputs), Words(groups * ((outputs + perWord - 1) / perWord)), SchemeCase.Numbers(random, scaleType, (long)groups * outputs));

        uint[] Words(int count) => [.. Enumerable.Range(0, count).Select(_ => (uint)random.NextInt64(1L << 32))];
    }
}

[OnDevice(TestDevice.Host)]
public sealed class HostDequantizeTests() : DequantizeTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorDequantizeTests() : DequantizeTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLDequantizeTests() : DequantizeTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaDequantizeTests() : DequantizeTests(TestDevice.Cuda);
