using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Tensors with more elements than 31 bits count, where there is a device for them; elsewhere the same with fewer.</summary>
[Trait("Area", "Devices")]
public abstract class LargeTensorTests(TestDevice kind, int bits)
{
    private const int Part = 4096;

    [DeviceFact]
    public void Elements_far_behind_the_first_are_made_converted_and_copied_as_the_first()
    {
        var count = (1L << bits) + 5;
        var device = TestDevices.Get(kind);
        using var stored = Tensor.Empty(DType.F8_E4M3, new Shape(count), device);
        stored.FillUniform(6, -100, 100);
        using var converted = stored.To(DType.BF16);
        using var copy = Tensor.Empty(DType.BF16, new Shape(count), device);
        copy.CopyFrom(converted);
        foreach (var first in (ReadOnlySpan<long>)[0, (1L << (bits - 1)) - (Part / 2), (1L << bits) - (Part / 2), count - Part])
        {
            var start = first;
            var length = (int)Math.Min(Part, count - start);
            var singles = Enumerable.Range(0, length).Select(i => UniformOracle.Value(6, start + i, -100, 100)).ToArray();
            var narrow = new byte[length];
            Codecs.Of(DType.F32).DecodeScalar(MemoryMarshal.AsBytes(singles.AsSpan()), narrow, DType.F8_E4M3);
            var wide = new byte[2 * length];
            Codecs.Of(DType.F8_E4M3).DecodeScalar(narrow, wide, DType.BF16);
            Assert.Equal(narrow, Values(stored, start, length));
            Assert.Equal(wide, Values(copy, start, length));
        }
    }

    private static byte[] Values(Tensor tensor, long first, int length)
    {
        using var part = tensor.Narrow(0, first, length);
        return DeviceBytes.Values(part);
    }
}

[OnDevice(TestDevice.Host)]
public sealed class HostLargeTensorTests() : LargeTensorTests(TestDevice.Host, 18);

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorLargeTensorTests() : LargeTensorTests(TestDevice.Simulator, 14);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLLargeTensorTests() : LargeTensorTests(TestDevice.OpenCL, 18);

/// <remarks>Takes 11 GB of the GPU's memory.</remarks>
[OnDevice(TestDevice.Cuda)]
public sealed class CudaLargeTensorTests() : LargeTensorTests(TestDevice.Cuda, 31);
