using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Dequantisation beyond one launch, and into places that no store of four values begins on, in parts so small that there are many: no seam between them.</summary>
[Trait("Area", "Devices")]
public abstract class SchemeLaunchTests(TestDevice kind)
{
    [DeviceTheory]
    [InlineData(0)]
    [InlineData(2)]
    public void Scaled_blocks_have_no_seam(int resultSkip)
    {
        var random = new Random(2);
        var payload = SchemeCase.Numbers(random, DType.F8_E4M3, 23 * 18);
        var scales = SchemeCase.Numbers(random, DType.F32, 5 * 3);
        var expected = SchemeCase.Blocks(payload, DType.F8_E4M3, scales, DType.F32, null, 23, 18, 5, 7, DType.BF16);
        using var device = Small();
        using var matrix = SchemeCase.Put(device, DType.F8_E4M3, 23, 18, payload);
        using var scale = SchemeCase.Put(device, DType.F32, 5, 3, scales);
        Check(device, matrix, new BlockScaledScheme(5, 7), new QuantizationCompanions(scale), expected, resultSkip);
    }

    [DeviceTheory]
    [InlineData(0)]
    [InlineData(2)]
    public void Packed_numbers_have_no_seam(int resultSkip)
    {
        var random = new Random(2);
        uint[] words = [.. Enumerable.Range(0, 3 * 37).Select(_ => (uint)random.NextInt64(1L << 32))];
        uint[] zeros = [.. Enumerable.Range(0, 3 * 5).Select(_ => (uint)random.NextInt64(1L << 32))];
        var scales = SchemeCase.Numbers(random, DType.F16, 3 * 37);
        var expected = SchemeCase.Gptq(4, 1, words, zeros, scales, DType.F16, 37, 24, input => input / 8, DType.BF16);
        using var device = Small();
        using var matrix = SchemeCase.Put(device, DType.I32, 3, 37, MemoryMarshal.AsBytes(words.AsSpan()));
        using var scale = SchemeCase.Put(device, DType.F16, 3, 37, scales);
        using var zero = SchemeCase.Put(device, DType.I32, 3, 5, MemoryMarshal.AsBytes(zeros.AsSpan()));
        Check(device, matrix, new GptqScheme(4, 8), new QuantizationCompanions(scale, zero), expected, resultSkip);
    }

    private static void Check(
        IlgpuDevice device, Tensor matrix, QuantizationScheme scheme, QuantizationCompanions companions, byte[] expected, int resultSkip)
    {
        var before = DeviceBytes.Random(1, resultSkip + expected.Length + 6);
        using var memory = DeviceBytes.Put(device, before);
        using var result = new Tensor(memory, DType.BF16, scheme.ResultShape(matrix.Shape), default, resultSkip);
        result.DequantizeFrom(matrix, scheme, companions);
        expected.CopyTo(before.AsSpan(resultSkip));
        Assert.Equal(before, DeviceBytes.Get(memory));
    }

    // Two rows a launch or so, and two rows a part.
    private IlgpuDevice Small()
    {
        var shared = (IlgpuDevice)TestDevices.Get(kind);
        return new IlgpuDevice(shared.Accelerator, null, shared.Id)
        {
            LaunchLock = shared.LaunchLock,
            Limits = new LaunchLimits { Threads = 11 },
            PartElements = 40,
        };
    }
}

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorSchemeLaunchTests() : SchemeLaunchTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLSchemeLaunchTests() : SchemeLaunchTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaSchemeLaunchTests() : SchemeLaunchTests(TestDevice.Cuda);
