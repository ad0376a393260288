using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>A group of the host and one more device: both have the same bits, and what is offloaded comes back to both.</summary>
[Trait("Area", "Devices")]
public abstract class GroupOnDeviceTests(TestDevice kind)
{
    [DeviceTheory]
    [InlineData(DType.BF16, DType.F32)]
    [InlineData(DType.F32, DType.F32)]
    [InlineData(DType.Q4_K, DType.BF16)]
    public async Task What_is_placed_once_is_on_both(DType stored, DType target)
    {
        using var host = new CountedHost();
        var device = TestDevices.Get(kind);
        var group = new DeviceGroup(host.Device, device);
        var bytes = new byte[stored.ByteCount(1024)];
        new Random(3).NextBytes(bytes);
        var expected = new byte[target.ByteCount(1024)];
        if (stored == target)
        {
            bytes.CopyTo(expected, 0);
        }
        else
        {
            Codecs.Of(stored).DecodeScalar(bytes, expected, target);
        }

        using (var tensor = Tensor.Empty(target, new Shape(1024), group))
        {
            using (var pool = group.CreateStagingPool(bytes.Length, 1))
            using (var slot = pool.Rent())
            using (var stream = group.CreateStream())
            {
                bytes.CopyTo(slot.Memory);
                stream.Place(slot.Memory.Span[..bytes.Length], stored, tensor.Memory, 0, target);
                var fence = stream.Record();
                await fence.WaitAsync();
                Assert.True(fence.HasPassed);
            }

            using var onHost = tensor.On(host.Device);
            using var onDevice = tensor.On(device);
            Assert.Equal(expected, onHost.AsSpan<byte>().ToArray());
            Assert.Equal(expected, DeviceBytes.Get(onDevice.Memory));
        }

        // Other tests use the device at the same time: what is counted is the group's share of it.
        Assert.Equal((0L, 0L), (group.LiveAllocations, group.LiveBytes));
    }

    [DeviceFact]
    public void What_is_offloaded_comes_back()
    {
        using var host = new CountedHost();
        var device = TestDevices.Get(kind);
        var values = new byte[70_001];
        new Random(4).NextBytes(values);
        using (var source = Tensor.FromValues<byte>(DType.U8, new Shape(values.Length), values, host.Device))
        using (var there = source.To(device))
        using (var offloaded = there.Offload(host.Device))
        using (var back = offloaded.To(new DeviceGroup(device, host.Device)))
        using (var onDevice = back.On(device))
        {
            Assert.Equal(device.UsesPageLockedMemory, ((HostMemory)offloaded.Memory).IsPageLocked);
            Assert.Equal(values, offloaded.AsSpan<byte>().ToArray());
            Assert.Equal(values, DeviceBytes.Get(onDevice.Memory));
        }
    }

    /// <summary>A host device of its own, which must have nothing left in the end.</summary>
    private sealed class CountedHost : IDisposable
    {
        public HostDevice Device { get; } = new();

        public void Dispose() => Assert.Equal((0L, 0L), (Device.LiveAllocations, Device.LiveBytes));
    }
}

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorGroupTests() : GroupOnDeviceTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLGroupTests() : GroupOnDeviceTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaGroupTests() : GroupOnDeviceTests(TestDevice.Cuda);
