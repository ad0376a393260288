using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Parts that are decoded on the host: large ones, and what is refused before a device is asked.</summary>
public sealed class HostDecodeTests
{
    // Rows whose cut groups do not fit one temporary; rows that end inside a byte, several to a temporary; and rows longer than one.
    [Theory]
    [InlineData(DType.F4, 1, 1, 2, "700001 4")]
    [InlineData(DType.F4, 2, 1, 2, "1 700001 4")]
    [InlineData(DType.F6_E2M3, 1, 2, 1, "400003 4")]
    [InlineData(DType.F4, 1, 3, 996, "2500 1001")]
    [InlineData(DType.F4, 0, 1, 1_233, "2468 1001")]
    [InlineData(DType.F4, 1, 5, 1_100_000, "4 1100007")]
    [InlineData(DType.F6_E3M2, 1, 1, 1_100_000, "4 1100003")]
    public void Large_parts_are_decoded_without_a_seam(DType dtype, int dimension, long start, long length, string sizes)
    {
        var device = new HostDevice();
        using (var tensor = Random(device, dtype, new Shape([.. sizes.Split(' ').Select(long.Parse)]), new Random(5)))
        using (var all = tensor.To(DType.F32))
        using (var view = all.Narrow(dimension, start, length))
        using (var expected = view.To(DType.F32))
        using (var part = tensor.Decode(DType.F32, dimension, start, length))
        {
            Assert.Equal(expected.Shape, part.Shape);
            Assert.True(expected.AsSpan<byte>().SequenceEqual(part.AsSpan<byte>()));
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void Other_types_narrow_and_convert_at_once()
    {
        using var tensor = Tensor.FromValues<float>(DType.F32, new Shape(2, 3), [1, 2, 3, 4, 5, 6]);
        using var part = tensor.Decode(DType.F64, -1, 1, 2);
        Assert.Equal([2.0, 3, 5, 6], part.AsSpan<double>().ToArray());
        using var same = tensor.Decode(DType.F32, 0, 1, 1);
        Assert.Equal([4f, 5, 6], same.AsSpan<float>().ToArray());
    }

    [Fact]
    public void What_cannot_be_decoded_is_refused_and_nothing_stays()
    {
        var device = new HostDevice();
        using (var tensor = Tensor.Empty(DType.F4, new Shape(3, 4), device))
        using (var blocks = Tensor.Empty(DType.Q8_K, new Shape(2, 256), device))
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Decode(DType.F32, 2, 0, 1));
            Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Decode(DType.F32, 1, -1, 1));
            Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Decode(DType.F32, 1, 0, -1));
            Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Decode(DType.F32, 1, 2, 3));
            Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Decode(DType.F32, 1, long.MaxValue, 1));
            Assert.Throws<ArgumentException>(() => tensor.Decode(DType.F4, 1, 1, 2));
            Assert.Throws<ArgumentException>(() => tensor.Decode(DType.I8, 1, 1, 2));
            Assert.Throws<ArgumentException>(() => tensor.Decode(DType.I8, 1, 2, 2));
            Assert.Contains(
                "from Q8_K to I32",
                Assert.Throws<ArgumentException>(() => blocks.Decode(DType.I32, 1, 1, 2)).Message,
                StringComparison.Ordinal);
            Assert.Contains(
                nameof(Tensor.Decode), Assert.Throws<ArgumentException>(() => tensor.Narrow(1, 1, 2)).Message, StringComparison.Ordinal);
            Assert.Contains(
                nameof(Tensor.Decode), Assert.Throws<ArgumentException>(() => blocks.Narrow(1, 1, 2)).Message, StringComparison.Ordinal);
            Assert.Equal(2, device.LiveAllocations);
        }

        var gone = Tensor.Empty(DType.F4, new Shape(4), device);
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => gone.Decode(DType.F32, 0, 1, 1));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void On_meta_only_the_shape_is_made()
    {
        using var tensor = Tensor.Empty(DType.F6_E2M3, new Shape(1L << 40, 5, 4), new MetaDevice());
        using var part = tensor.Decode(DType.BF16, 2, 1, 2);
        Assert.Equal((DType.BF16, new Shape(1L << 40, 5, 2), DeviceKind.Meta), (part.DType, part.Shape, part.Device.Kind));
    }

    private static Tensor Random(HostDevice device, DType dtype, Shape shape, Random random)
    {
        var tensor = Tensor.Empty(dtype, shape, device);
        random.NextBytes(tensor.AsSpan<byte>());
        return tensor;
    }
}
