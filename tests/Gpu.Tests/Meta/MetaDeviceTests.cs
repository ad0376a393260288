using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class MetaDeviceTests
{
    [Fact]
    public void A_meta_tensor_has_shape_and_views_and_takes_nothing()
    {
        var device = new MetaDevice();
        using (var tensor = Tensor.Empty(DType.F32, new Shape(1L << 30, 1L << 20), device))
        using (var part = tensor.Narrow(0, 1L << 29, 5))
        using (var turned = part.Transpose(0, 1))
        {
            Assert.Equal(1L << 52, device.LiveBytes);
            Assert.Equal(new Shape(1L << 20, 5), turned.Shape);
            Assert.Equal(1L << 51, turned.ByteOffset);
            Assert.False(turned.IsContiguous);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void Anything_of_the_same_shape_can_be_copied_onto_meta_and_nothing_from_it()
    {
        var (host, meta) = (new HostDevice(), new MetaDevice());
        using (var source = Tensor.Empty(DType.F32, new Shape(3, 4), host))
        using (var target = source.To(DType.F16, meta))
        using (var other = Tensor.Empty(DType.F16, new Shape(4, 3), meta))
        {
            Assert.Equal((DType.F16, new Shape(3, 4), meta), (target.DType, target.Shape, (MetaDevice)target.Device));
            other.CopyFrom(other);
            Assert.Throws<ArgumentException>(() => other.CopyFrom(source));
            Assert.Throws<ArgumentException>(() => source.CopyFrom(target));
            Assert.Throws<ArgumentException>(() => target.To(host));
        }

        Assert.Equal((0, 0L), (host.LiveAllocations, host.LiveBytes));
        Assert.Equal(0, meta.LiveAllocations);
    }

    [Fact]
    public void A_meta_tensor_has_no_span()
    {
        using var tensor = Tensor.Empty(DType.F32, new Shape(3), new MetaDevice());
        var error = Assert.Throws<InvalidOperationException>(() => tensor.AsSpan<float>());
        Assert.Contains("is on meta", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_staged_for_meta()
    {
        Assert.Throws<NotSupportedException>(() => MetaDevice.Shared.CreateStagingPool(100, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => MetaDevice.Shared.Allocate(-1));
    }

    [Fact]
    public async Task Work_on_meta_is_always_done()
    {
        using var stream = MetaDevice.Shared.CreateStream();
        Assert.Same(MetaDevice.Shared, stream.Device);
        stream.Synchronize();
        Assert.True(stream.Record().HasPassed);
        // Also for one who no longer wants to wait.
        await stream.Record().WaitAsync(new CancellationToken(canceled: true));
    }
}
