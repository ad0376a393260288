using IlgpuLoader.Formats;

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

    private static void Copy(Device device, DeviceMemory from, DeviceMemory to, long length)
    {
        using var stream = device.CreateStream();
        stream.Copy(View(from, length), View(to, length));
        stream.Synchronize();
    }

    private static StridedView View(DeviceMemory memory, long length) => new(memory, DType.U8, new Shape(length), [1], 0);
}
