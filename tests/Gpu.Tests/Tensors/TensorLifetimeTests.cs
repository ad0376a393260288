using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class TensorLifetimeTests
{
    [Fact]
    public void Memory_goes_with_the_last_of_its_views_and_ties_in_any_order()
    {
        Prop.ForAll(Gen.Shuffle(Enumerable.Range(0, 6)).ToArbitrary(), order =>
        {
            var device = new HostDevice();
            var tensor = Tensor.Empty(DType.F32, new Shape(4, 4), device);
            var tied = new Tensor(tensor.Memory, DType.I32, new Shape(16));
            Tensor[] all = [tensor, tied, tensor.Narrow(0, 1, 2), tensor.Select(1, 0), tensor.View(16), tensor.Transpose(0, 1)];
            foreach (var index in order)
            {
                Assert.Equal((1, 64L), (device.LiveAllocations, device.LiveBytes));
                Assert.False(all[index].Memory.IsFreed);
                all[index].Dispose();
                all[index].Dispose();
            }

            Assert.True(tensor.Memory.IsFreed);
            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_view_keeps_the_memory_and_the_values()
    {
        var tensor = Tensor.FromValues<int>(DType.I32, new Shape(3), [1, 2, 3], new HostDevice());
        var view = tensor.Narrow(0, 1, 2);
        tensor.Dispose();
        Assert.Equal([2, 3], view.AsSpan<int>().ToArray());
        view.Dispose();
        Assert.True(view.Memory.IsFreed);
    }

    [Fact]
    public void A_disposed_tensor_gives_neither_views_nor_elements_though_its_memory_lives()
    {
        using var tensor = Tensor.FromValues<int>(DType.I32, new Shape(2, 2), [1, 2, 3, 4], new HostDevice());
        var view = tensor.View(4);
        view.Dispose();
        Assert.True(view.IsDisposed);
        Assert.False(tensor.IsDisposed);
        Assert.Throws<ObjectDisposedException>(() => view.Narrow(0, 0, 1));
        Assert.Throws<ObjectDisposedException>(() => view.Select(0, 0));
        Assert.Throws<ObjectDisposedException>(() => view.View(4));
        Assert.Throws<ObjectDisposedException>(() => view.Transpose(0, 0));
        Assert.Throws<ObjectDisposedException>(() => view.AsSpan<int>());
        Assert.Throws<ObjectDisposedException>(() => view.GetSpan<int>(0, 1));
    }

    [Fact]
    public void A_tensor_over_freed_memory_is_refused()
    {
        var memory = new HostDevice().Allocate(4);
        memory.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new Tensor(memory, DType.F32, new Shape(1)));
    }

    [Fact]
    public void A_refused_view_holds_no_reference()
    {
        var device = new HostDevice();
        var tensor = Tensor.Empty(DType.Q4_0, new Shape(2, 64), device);
        Assert.Throws<ArgumentException>(() => tensor.Narrow(1, 1, 32));
        Assert.Throws<ArgumentException>(() => tensor.View(7));
        tensor.Dispose();
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Values_that_do_not_fit_are_refused_and_take_nothing()
    {
        var device = new HostDevice();
        Assert.Throws<ArgumentException>(() => Tensor.FromValues<float>(DType.F32, new Shape(3), [1, 2], device));
        Assert.Throws<ArgumentException>(() => Tensor.FromValues<byte>(DType.F32, new Shape(1), [1, 2, 3], device));
        Assert.Throws<ArgumentException>(() => Tensor.FromValues<byte>(DType.F4, new Shape(3), [1, 2], device));
        // As many bytes, but not as many values.
        Assert.Throws<ArgumentException>(() => Tensor.FromValues<double>(DType.F32, new Shape(4), [1, 2], device));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Spans_have_the_elements_type_or_are_bytes()
    {
        using var tensor = Tensor.FromValues<float>(DType.F32, new Shape(2), [1, -2]);
        Assert.Equal([1f, -2f], tensor.AsSpan<float>().ToArray());
        Assert.Equal([0x3F800000, unchecked((int)0xC0000000)], tensor.AsSpan<int>().ToArray());
        Assert.Equal([0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0], tensor.AsSpan<byte>().ToArray());
        Assert.Throws<ArgumentException>(() => tensor.AsSpan<double>());
        Assert.Throws<ArgumentException>(() => tensor.AsSpan<Half>());
    }

    [Fact]
    public void A_strided_tensor_has_no_span()
    {
        using var tensor = Tensor.FromValues<int>(DType.I32, new Shape(2, 2), [1, 2, 3, 4]);
        using var turned = tensor.Transpose(0, 1);
        var error = Assert.Throws<InvalidOperationException>(() => turned.AsSpan<int>());
        Assert.Contains("not contiguous", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 5)]
    [InlineData(4, 1)]
    [InlineData(1, -1)]
    [InlineData(long.MaxValue, 1)]
    public void Parts_beyond_the_tensor_are_refused_even_within_its_memory(long start, int length)
    {
        using var tensor = Tensor.FromValues<int>(DType.I32, new Shape(8), [1, 2, 3, 4, 5, 6, 7, 8]);
        using var view = tensor.Narrow(0, 0, 4);
        Assert.Throws<ArgumentOutOfRangeException>(() => view.GetSpan<int>(start, length));
        Assert.Equal([3, 4], view.GetSpan<int>(2, 2).ToArray());
    }

    [LinuxFact]
    public void A_span_ends_with_the_elements_it_can_count_and_not_at_2_GiB()
    {
        var device = new HostDevice();
        const long elements = (1L << 28) + 1;
        using (var tensor = Tensor.Empty(DType.F64, new Shape(elements), device))
        {
            tensor.AsSpan<double>()[^1] = 4.5;
            Assert.Equal([4.5], tensor.GetSpan<double>(elements - 1, 1).ToArray());
            using var bytes = new Tensor(tensor.Memory, DType.U8, new Shape(elements * 8));
            var error = Assert.Throws<InvalidOperationException>(() => bytes.AsSpan<byte>());
            Assert.Contains("GetSpan", error.Message, StringComparison.Ordinal);
            Assert.Equal(BitConverter.GetBytes(4.5), bytes.GetSpan<byte>((elements * 8) - 8, 8).ToArray());
        }

        Assert.Equal(0, device.LiveBytes);
    }

    [Fact]
    public void A_tensor_describes_itself()
    {
        using var tensor = Tensor.Empty(DType.BF16, new Shape(2, 3));
        Assert.Equal("BF16 [2, 3] on host", tensor.ToString());
    }
}
