using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;

namespace IlgpuLoader.Gpu;

/// <summary>Copies between host memory that stays where it is and an accelerator's.</summary>
/// <remarks>
/// Exactly the bytes meant are wrapped each time: ILGPU's OpenCL copies take the length of the whole host buffer, not of the view. The
/// wrapper may go while the copy runs, the memory may not.
/// </remarks>
internal static unsafe class HostCopies
{
    /// <summary>Copies to the device, behind what the stream was given before; needs the host memory until then.</summary>
    public static void Upload(AcceleratorStream stream, ref readonly byte source, ArrayView<byte> destination)
    {
        using var host = CPUMemoryBuffer.Create(stream.Accelerator, (nint)Unsafe.AsPointer(ref Unsafe.AsRef(in source)), destination.Length, 1);
        destination.CopyFrom(stream, host.AsRawArrayView());
    }

    /// <summary>Copies to the host, behind what the stream was given before; needs the host memory until then.</summary>
    public static void Download(AcceleratorStream stream, ArrayView<byte> source, ref byte destination)
    {
        using var host = CPUMemoryBuffer.Create(stream.Accelerator, (nint)Unsafe.AsPointer(ref destination), source.Length, 1);
        source.CopyTo(stream, host.AsRawArrayView());
    }
}
