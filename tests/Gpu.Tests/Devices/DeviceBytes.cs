using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Brings bytes to a device and back, as plain bytes.</summary>
internal static class DeviceBytes
{
    /// <summary>Memory of a device with these bytes in it.</summary>
    public static DeviceMemory Put(Device device, ReadOnlySpan<byte> bytes)
    {
        using var host = new HostDevice().Allocate(bytes.Length);
        bytes.CopyTo(((HostMemory)host).AsSpan(0, bytes.Length));
        var memory = device.Allocate(bytes.Length);
        Copy(device, host, memory, bytes.Length);
        return memory;
    }

    /// <summary>All bytes of some memory.</summary>
    public static byte[] Get(DeviceMemory memory)
    {
        var length = checked((int)memory.Length);
        using var host = new HostDevice().Allocate(length);
        Copy(memory.Device, memory, host, length);
        return ((HostMemory)host).AsSpan(0, length).ToArray();
    }

    /// <summary>The elements of a tensor, side by side.</summary>
    public static byte[] Values(Tensor tensor)
    {
        using var host = tensor.To(new HostDevice());
        return host.AsSpan<byte>().ToArray();
    }

    /// <summary>Reproducible bytes.</summary>
    public static byte[] Random(int seed, long length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>How many random cases are tried: the simulator takes milliseconds for each launch.</summary>
    public static int Cases(TestDevice kind) => kind switch
    {
        TestDevice.Host => 1000,
        TestDevice.Simulator => 60,
        _ => 300,
    };

    /// <summary>Checks that everything was freed on a host device of a test's own; other devices are shared by tests that run beside each other.</summary>
    public static void CheckNothingStays(Device device)
    {
        if (device.IsHost)
        {
            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        }
    }

    private static void Copy(Device device, DeviceMemory from, DeviceMemory to, long length)
    {
        using var stream = device.CreateStream();
        stream.Copy(View(from, length), View(to, length));
        stream.Synchronize();
    }

    private static StridedView View(DeviceMemory memory, long length) => new(memory, DType.U8, new Shape(length), [1], 0);
}
