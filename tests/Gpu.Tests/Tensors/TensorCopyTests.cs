using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class TensorCopyTests
{
    [Fact]
    public void Rows_that_end_inside_a_byte_convert_only_into_a_contiguous_tensor()
    {
        using var source = Tensor.FromValues<byte>(DType.F4, new Shape(2, 3), [0x21, 0x43, 0x65]);
        using var whole = source.To(DType.F32);
        Assert.Equal([0.5f, 1, 1.5f, 2, 3, 4], whole.AsSpan<float>().ToArray());
        using var wide = Tensor.Empty(DType.F32, new Shape(2, 4));
        using var strided = wide.Narrow(1, 0, 3);
        var error = Assert.Throws<ArgumentException>(() => strided.CopyFrom(source));
        Assert.Contains("inside a byte", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DType.F4)]
    [InlineData(DType.F6_E2M3)]
    public void Rows_that_end_inside_a_byte_copy_whole(DType dtype)
    {
        var device = new HostDevice();
        var bytes = Enumerable.Range(1, (int)dtype.ByteCount(20)).Select(i => (byte)i).ToArray();
        using var source = Tensor.FromValues<byte>(dtype, new Shape(4, 5), bytes, device);
        using var target = source.To(device);
        Assert.Equal(bytes, target.AsSpan<byte>().ToArray());
    }

    [Fact]
    public void Contiguous_and_strided_sub_byte_rows_copy_into_each_other()
    {
        var device = new HostDevice();
        using var wide = Tensor.FromValues<byte>(DType.F4, new Shape(3, 8), [.. Enumerable.Range(1, 12).Select(i => (byte)i)], device);
        using var left = wide.Narrow(1, 0, 4);
        using var packed = left.To(device);
        Assert.Equal([1, 2, 5, 6, 9, 10], packed.AsSpan<byte>().ToArray());

        using var right = wide.Narrow(1, 4, 4);
        right.CopyFrom(packed);
        Assert.Equal([1, 2, 1, 2, 5, 6, 5, 6, 9, 10, 9, 10], wide.AsSpan<byte>().ToArray());
    }

    [Fact]
    public void Large_conversions_are_cut_without_a_seam()
    {
        var device = new HostDevice();
        const int count = (1 << 24) + 3;
        using (var source = Tensor.Empty(DType.F16, new Shape(count), device))
        {
            source.AsSpan<Half>().Fill((Half)0.5f);
            source.AsSpan<Half>()[^1] = (Half)(-3f);
            source.AsSpan<Half>()[1 << 24] = (Half)2f;
            using var wide = source.To(DType.F32);
            Assert.Equal([0.5f, 2f, 0.5f, -3f], wide.GetSpan<float>((1 << 24) - 1, 4).ToArray());
            Assert.Equal(count - 2, wide.AsSpan<float>().Count(0.5f));
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void One_element_copies_into_one_element_whatever_the_dimensions()
    {
        using var scalar = Tensor.FromValues<float>(DType.F32, Shape.Scalar, [2.5f]);
        using var deep = Tensor.FromValues<double>(DType.F64, new Shape(1, 1, 1), [0]);
        deep.CopyFrom(scalar);
        Assert.Equal([2.5], deep.AsSpan<double>().ToArray());

        using var same = Tensor.FromValues<float>(DType.F32, new Shape(1), [0]);
        same.CopyFrom(scalar);
        Assert.Equal([2.5f], same.AsSpan<float>().ToArray());
    }

    [Fact]
    public void Other_shapes_are_refused_even_with_as_many_elements()
    {
        using var source = Tensor.Empty(DType.F32, new Shape(2, 3));
        using var turned = Tensor.Empty(DType.F32, new Shape(3, 2));
        using var flat = Tensor.Empty(DType.F32, new Shape(6));
        using var one = Tensor.Empty(DType.F32, new Shape(1));
        Assert.Throws<ArgumentException>(() => turned.CopyFrom(source));
        Assert.Throws<ArgumentException>(() => flat.CopyFrom(source));
        Assert.Throws<ArgumentException>(() => source.CopyFrom(one));
    }

    [Theory]
    [InlineData(DType.F32, DType.I32)]
    [InlineData(DType.F8_E4M3, DType.I8)]
    [InlineData(DType.C64, DType.F32)]
    [InlineData(DType.F32, DType.C64)]
    public void Where_there_is_no_conversion_that_is_said_and_nothing_stays(DType stored, DType wanted)
    {
        var device = new HostDevice();
        using (var source = Tensor.Empty(stored, new Shape(4), device))
        {
            var error = Assert.Throws<ArgumentException>(() => source.To(wanted));
            Assert.Contains($"from {stored.Name} to {wanted.Name}", error.Message, StringComparison.Ordinal);
            Assert.Equal(1, device.LiveAllocations);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void To_copies_also_where_nothing_changes()
    {
        var device = new HostDevice();
        using var source = Tensor.FromValues<int>(DType.I32, new Shape(2, 2), [1, 2, 3, 4], device);
        using var turned = source.Transpose(0, 1);
        using var copy = turned.To(DType.I32);
        using var elsewhere = turned.To(HostDevice.Shared);
        Assert.NotSame(source.Memory, copy.Memory);
        Assert.Same(device, copy.Device);
        Assert.Same(HostDevice.Shared, elsewhere.Device);
        Assert.True(copy.IsContiguous);
        Assert.Equal([1, 3, 2, 4], copy.AsSpan<int>().ToArray());
        Assert.Equal([1, 3, 2, 4], elsewhere.AsSpan<int>().ToArray());
    }

    [Fact]
    public void Elements_that_share_places_are_read_and_never_written()
    {
        using var source = Tensor.FromValues<int>(DType.I32, new Shape(3), [1, 2, 3]);
        using var repeated = new Tensor(source.Memory, DType.I32, new Shape(2, 3), [0, 1]);
        using var copy = repeated.To(DType.I32);
        Assert.Equal([1, 2, 3, 1, 2, 3], copy.AsSpan<int>().ToArray());
        var error = Assert.Throws<ArgumentException>(() => repeated.CopyFrom(copy));
        Assert.Contains("share places", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Disposed_tensors_are_refused_on_either_side()
    {
        using var alive = Tensor.Empty(DType.F32, new Shape(2));
        var gone = Tensor.Empty(DType.F32, new Shape(2));
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => alive.CopyFrom(gone));
        Assert.Throws<ObjectDisposedException>(() => gone.CopyFrom(alive));
        Assert.Throws<ObjectDisposedException>(() => gone.To(DType.F16));
    }
}
