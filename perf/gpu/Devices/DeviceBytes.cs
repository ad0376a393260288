using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Bytes on their way to a device's memory and back.</summary>
internal static class DeviceBytes
{
    /// <summary>A view of some bytes of a memory as elements side by side.</summary>
    public static StridedView View(DeviceMemory memory, DType dtype, long elements, long byteOffset = 0) =>
        new(memory, dtype, new Shape(elements), [1], byteOffset);

    /// <summary>Writes bytes to the start of a memory.</summary>
    public static void Put(DeviceMemory memory, ReadOnlySpan<byte> bytes, long offset = 0)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        using var host = Tensor.FromValues(DType.U8, new Shape(bytes.Length), bytes);
        using var stream = (memory.Device.IsHost ? host.Device : memory.Device).CreateStream();
        stream.Copy(View(host.Memory, DType.U8, bytes.Length), View(memory, DType.U8, bytes.Length, offset));
        stream.Synchronize();
    }

    /// <summary>Fills a memory with a pattern, over and over.</summary>
    public static void Tile(DeviceMemory memory, ReadOnlySpan<byte> pattern)
    {
        for (long offset = 0; offset < memory.Length; offset += pattern.Length)
        {
            Put(memory, pattern[..(int)Math.Min(pattern.Length, memory.Length - offset)], offset);
        }
    }

    /// <summary>All bytes of a memory.</summary>
    public static byte[] Get(DeviceMemory memory)
    {
        var bytes = new byte[memory.Length];
        using var view = new Tensor(memory, DType.U8, new Shape(memory.Length));
        using var host = view.To(HostDevice.Shared);
        host.AsSpan<byte>().CopyTo(bytes);
        return bytes;
    }

    /// <summary>The index of the first byte that differs, or -1.</summary>
    public static long FirstDifference(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
    {
        var common = MemoryExtensions.CommonPrefixLength(expected, actual);
        return common == expected.Length && common == actual.Length ? -1 : common;
    }

    /// <summary>The bytes of numbers.</summary>
    public static byte[] Of<T>(T[] values)
        where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
}
