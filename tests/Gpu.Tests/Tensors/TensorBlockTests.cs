using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class TensorBlockTests
{
    [Fact]
    public void Strides_of_block_types_count_blocks()
    {
        using var tensor = Blocks(3, 64);
        Assert.Equal([2, 1], tensor.Strides.ToArray());
        Assert.Equal(3 * 2 * 18, tensor.ByteLength);
        Assert.True(tensor.IsContiguous);
    }

    [Fact]
    public void Blocks_narrow_on_rows_and_on_whole_blocks()
    {
        using var tensor = Blocks(3, 96);
        using var row = tensor.Narrow(0, 1, 1);
        using var selected = tensor.Select(0, 1);
        using var middle = tensor.Narrow(1, 32, 32);
        Assert.Equal(Enumerable.Range(54, 54).Select(i => (byte)i).ToArray(), row.AsSpan<byte>().ToArray());
        Assert.Equal(new Shape(96), selected.Shape);
        Assert.Equal(row.AsSpan<byte>().ToArray(), selected.AsSpan<byte>().ToArray());
        Assert.Equal((18L, 3L), (middle.ByteOffset, middle.Strides[0]));
        using var packed = middle.To(DType.Q4_0);
        Assert.Equal(
            new[] { 18, 72, 126 }.SelectMany(start => Enumerable.Range(start, 18)).Select(i => (byte)i).ToArray(),
            packed.AsSpan<byte>().ToArray());
    }

    [Theory]
    [InlineData(1, 32)]
    [InlineData(32, 31)]
    [InlineData(0, 1)]
    [InlineData(16, 16)]
    public void Narrow_inside_a_block_is_refused(long start, long length)
    {
        using var tensor = Blocks(2, 64);
        Assert.Throws<ArgumentException>(() => tensor.Narrow(1, start, length));
    }

    [Fact]
    public void Views_that_would_cut_or_move_blocks_are_refused()
    {
        using var tensor = Blocks(2, 3, 64);
        Assert.Throws<ArgumentException>(() => tensor.Select(2, 0));
        Assert.Throws<ArgumentException>(() => tensor.Transpose(0, 2));
        Assert.Throws<ArgumentException>(() => tensor.View(24, 16));
        Assert.Throws<ArgumentException>(() => tensor.View(32, 12));
        using var turned = tensor.Transpose(0, 1);
        Assert.Equal([2, 6, 1], turned.Strides.ToArray());
        using var halves = tensor.View(12, 32);
        Assert.Equal([1, 1], halves.Strides.ToArray());
        using var same = tensor.Transpose(2, -1);
        Assert.Equal(tensor.Shape, same.Shape);
    }

    [Fact]
    public void Rows_that_are_not_whole_blocks_are_refused()
    {
        var device = new HostDevice();
        Assert.Throws<ArgumentException>(() => Tensor.Empty(DType.Q4_0, new Shape(32, 31), device));
        Assert.Throws<ArgumentException>(() => Tensor.Empty(DType.Q4_0, Shape.Scalar, device));
        Assert.Throws<ArgumentException>(() => Tensor.Empty(DType.F4, new Shape(3), device));
        Assert.Throws<ArgumentException>(() => Tensor.Empty(DType.F6_E2M3, new Shape(3, 2), device));
        using (Tensor.Empty(DType.Q6_K, new Shape(2, 0), device))
        {
            Assert.Equal(0, device.LiveBytes);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Sub_byte_elements_narrow_where_bytes_begin_and_end()
    {
        using var tensor = Tensor.FromValues<byte>(DType.F6_E2M3, new Shape(2, 8), [.. Enumerable.Range(0, 12).Select(i => (byte)i)]);
        using var right = tensor.Narrow(1, 4, 4);
        Assert.Equal(3, right.ByteOffset);
        using var packed = right.To(DType.F6_E2M3);
        Assert.Equal([3, 4, 5, 9, 10, 11], packed.AsSpan<byte>().ToArray());
        using var row = tensor.Select(0, 1);
        Assert.Equal([6, 7, 8, 9, 10, 11], row.AsSpan<byte>().ToArray());

        Assert.Throws<ArgumentException>(() => tensor.Narrow(1, 2, 4));
        Assert.Throws<ArgumentException>(() => tensor.Narrow(1, 0, 2));
        Assert.Throws<ArgumentException>(() => tensor.Select(1, 0));
        Assert.Throws<ArgumentException>(() => tensor.Transpose(0, 1));
    }

    [Fact]
    public void Sub_byte_rows_that_end_inside_a_byte_narrow_only_in_whole_bytes()
    {
        using var tensor = Tensor.FromValues<byte>(DType.F4, new Shape(4, 3), [0, 1, 2, 3, 4, 5]);
        using var lower = tensor.Narrow(0, 2, 2);
        Assert.Equal([3, 4, 5], lower.AsSpan<byte>().ToArray());
        Assert.Throws<ArgumentException>(() => tensor.Narrow(0, 1, 2));
        Assert.Throws<ArgumentException>(() => tensor.Narrow(0, 0, 1));
        Assert.Throws<ArgumentException>(() => tensor.Narrow(1, 0, 2));
    }

    [Fact]
    public void Nothing_narrows_anywhere()
    {
        using var tensor = Tensor.Empty(DType.F6_E2M3, new Shape(5, 11, 0));
        using var part = tensor.Narrow(0, 1, 2);
        using var none = tensor.Narrow(1, 3, 0);
        using var decoded = tensor.Decode(DType.F32, 1, 3, 5);
        Assert.Equal((new Shape(2, 11, 0), new Shape(5, 0, 0), new Shape(5, 5, 0)), (part.Shape, none.Shape, decoded.Shape));
    }

    [Fact]
    public void Only_bytes_of_blocks_can_be_seen()
    {
        using var tensor = Blocks(1, 32);
        Assert.Equal(18, tensor.AsSpan<byte>().Length);
        Assert.Throws<ArgumentException>(() => tensor.AsSpan<ushort>());
    }

    private static Tensor Blocks(params long[] dimensions)
    {
        var shape = new Shape(dimensions);
        var bytes = Enumerable.Range(0, (int)DType.Q4_0.ByteCount(shape.ElementCount)).Select(i => (byte)i).ToArray();
        return Tensor.FromValues<byte>(DType.Q4_0, shape, bytes, new HostDevice());
    }
}
