using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Parameters that are on a device for as long as something works on them.</summary>
[Trait("Area", "Quantization")]
public sealed class DeviceLoadingContextTests
{
    [Fact]
    public void Nothing_is_moved_to_the_host()
    {
        var device = new LateDevice();
        using var module = new Module();
        var onHost = module.Register("host", new Parameter(Values(1, 2)));
        var onDevice = module.Register("device", new Parameter(Values(3, 4).MovedTo(device)));
        var (first, second) = (onHost.Data, onDevice.Data);
        using (DeviceLoadingContext.Enter(module, HostDevice.Shared))
        {
            Assert.Equal((first, second), (onHost.Data, onDevice.Data));
        }

        Assert.Equal((first, second), (onHost.Data, onDevice.Data));
    }

    [Fact]
    public void Parameters_of_the_host_are_moved_and_come_back_and_nothing_else()
    {
        var device = new LateDevice();
        using var module = new Module();
        var child = module.Register("child", new Module());
        var moved = child.Register("moved", new Parameter(Values(1, 2)));
        var there = module.Register("there", new Parameter(Values(3, 4).MovedTo(device)));
        var meta = module.Register("meta", new Parameter(DType.U8, new Shape(2)));
        var buffer = module.Register("buffer", Values(5, 6));
        var (before, tensor) = (moved.Data, there.Data);
        using (DeviceLoadingContext.Enter(module, device))
        {
            Assert.Same(device, moved.Data.Device);
            Assert.Equal([1, 2], LateDevice.Read(moved.Data));
            // The host has it no more.
            Assert.True(before.IsDisposed);
            Assert.Same(tensor, there.Data);
            Assert.True(meta.IsMeta);
            Assert.True(buffer.Device.IsHost);
        }

        Assert.True(moved.Data.Device.IsHost);
        Assert.Equal([1, 2], moved.Data.AsReadOnlySpan<byte>().ToArray());
        Assert.Same(tensor, there.Data);
        Assert.True(meta.IsMeta);
        Assert.Equal(1, device.LiveAllocations);
    }

    [Fact]
    public void What_comes_back_has_its_new_shape_dtype_and_strides()
    {
        var device = new LateDevice();
        var host = new HostDevice();
        using (var module = new Module())
        {
            var turned = module.Register("turned", new Parameter(Values(host, 1, 2, 3, 4, 5, 6)));
            var kept = module.Register("kept", new Parameter(Columns(host)));
            using (DeviceLoadingContext.Enter(module, device))
            {
                // Moved with its strides.
                Assert.Equal([1L, 3], kept.Data.Strides.ToArray());
                using var matrix = turned.Data.View(2, 3);
                turned.SetData(matrix.Transpose(0, 1));
            }

            Assert.Same(host, turned.Data.Device);
            Assert.Equal((new Shape(3, 2), false), (turned.Shape, turned.Data.IsContiguous));
            Assert.Equal([1L, 3], turned.Data.Strides.ToArray());
            using var packed = turned.Data.To(HostDevice.Shared);
            Assert.Equal([1, 4, 2, 5, 3, 6], packed.AsReadOnlySpan<byte>().ToArray());
            Assert.Equal([1L, 3], kept.Data.Strides.ToArray());
            using var columns = kept.Data.To(HostDevice.Shared);
            Assert.Equal([1, 4, 2, 5, 3, 6], columns.AsReadOnlySpan<byte>().ToArray());
            Assert.Equal((2, 12L), (host.LiveAllocations, host.LiveBytes));
        }

        Assert.Equal((0, 0), (host.LiveAllocations, device.LiveAllocations));
        Assert.Empty(device.Violations);
    }

    [Fact]
    public void New_parameters_stay_and_removed_ones_are_gone()
    {
        var device = new LateDevice();
        using var module = new Module();
        _ = module.Register("removed", new Parameter(Values(1)));
        _ = module.Register("replaced", new Parameter(Values(2)));
        using (DeviceLoadingContext.Enter(module, device))
        {
            Assert.True(module.RemoveParameter("removed"));
            Assert.True(module.RemoveParameter("replaced"));
            _ = module.Register("new", new Parameter(Values(3).MovedTo(device)));
            // By the name, as everything that refers to a parameter does.
            _ = module.Register("replaced", new Parameter(Values(4).MovedTo(device)));
        }

        Assert.Equal(["new late:0", "replaced host"], module.Parameters.Select(entry => $"{entry.Key} {entry.Value.Data.Device}"));
        Assert.Equal([4], module.Parameters["replaced"].Data.AsReadOnlySpan<byte>().ToArray());
        Assert.Equal(1, device.LiveAllocations);
    }

    [Fact]
    public void Parameters_come_back_when_the_scope_ends_by_an_exception()
    {
        var device = new LateDevice();
        using var module = new Module();
        var parameter = module.Register("weight", new Parameter(Values(1, 2)));
        Assert.Throws<InvalidOperationException>(void () =>
        {
            using var context = DeviceLoadingContext.Enter(module, device);
            using var smaller = parameter.Data.Narrow(0, 1, 1);
            parameter.SetData(smaller.To(device));
            throw new InvalidOperationException("It failed.");
        });
        Assert.True(parameter.Data.Device.IsHost);
        Assert.Equal([2], parameter.Data.AsReadOnlySpan<byte>().ToArray());
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void A_device_without_memory_leaves_all_on_the_host()
    {
        var device = new LateDevice { FailingAllocation = 2 };
        using var module = new Module();
        _ = module.Register("first", new Parameter(Values(1)));
        _ = module.Register("second", new Parameter(Values(2)));
        Assert.Throws<DeviceMemoryException>(() => DeviceLoadingContext.Enter(module, device));
        Assert.Equal([[1], [2]], module.Parameters.Values.Select(parameter => parameter.Data.AsReadOnlySpan<byte>().ToArray()));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void What_comes_back_is_in_page_locked_memory_where_the_device_uses_it()
    {
        var device = new LateDevice { UsesLockedPages = true };
        using (var module = new Module())
        {
            var parameter = module.Register("weight", new Parameter(Values(1, 2)));
            using (DeviceLoadingContext.Enter(module, device))
            {
                Assert.Equal(0, device.Locks);
            }

            Assert.True(parameter.Data.Device.IsHost);
            Assert.Equal([1, 2], parameter.Data.AsReadOnlySpan<byte>().ToArray());
            Assert.Equal(1, device.Locks);
        }

        Assert.Equal(0, device.Locks);
    }

    [Fact]
    public void A_parameter_at_two_places_is_moved_once_and_a_scope_ends_once()
    {
        var device = new LateDevice();
        using var module = new Module();
        var tied = module.Register("one", new Parameter(Values(1)));
        var child = module.Register("child", new Module());
        _ = child.Register("two", tied);
        var context = DeviceLoadingContext.Enter(module, device);
        Assert.Equal(1, device.LiveAllocations);
        context.Dispose();
        var back = tied.Data;
        context.Dispose();
        Assert.Same(back, tied.Data);
    }

    private static Tensor Values(params byte[] values) => Values(HostDevice.Shared, values);

    private static Tensor Values(HostDevice host, params byte[] values) => Tensor.FromValues<byte>(DType.U8, new Shape(values.Length), values, host);

    private static Tensor Columns(HostDevice host)
    {
        using var values = Values(host, 1, 2, 3, 4, 5, 6);
        using var matrix = values.View(2, 3);
        return matrix.Transpose(0, 1);
    }
}

file static class MovedTensors
{
    public static Tensor MovedTo(this Tensor tensor, Device device)
    {
        using (tensor)
        {
            return tensor.To(device);
        }
    }
}
