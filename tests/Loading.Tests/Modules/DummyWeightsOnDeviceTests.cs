using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Weights that a device makes up: the host's, to the bit.</summary>
[Trait("Area", "Devices")]
public abstract class DummyWeightsOnDeviceTests(TestDevice kind)
{
    [DeviceTheory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F8_E4M3)]
    public void Every_share_has_the_bits_of_the_host(DType dtype)
    {
        var device = TestDevices.Get(kind);
        var before = device.LiveAllocations;
        foreach (var (shape, loader) in Loaders())
        {
            using var module = new Module();
            var expected = module.Register("host", new Parameter(Tensor.Empty(dtype, shape), loader));
            var actual = module.Register("device", new Parameter(Tensor.Empty(dtype, shape, device), loader));
            DummyWeights.Initialize(module);
            using var onHost = actual.Data.To(HostDevice.Shared);
            Assert.Equal(expected.Data.AsSpan<byte>().ToArray(), onHost.AsSpan<byte>().ToArray());
        }

        Assert.Equal(before, device.LiveAllocations);
    }

    private static IEnumerable<(Shape Shape, WeightLoader Loader)> Loaders()
    {
        var parallel = new TensorParallel(4, 3);
        yield return (new Shape(7), WeightLoaders.Default);
        yield return (new Shape(4, 12), WeightLoaders.Linear(LinearLayout.ForAttention(12, 8, 2, 1, parallel), ParameterAxes.Weight));
        yield return (new Shape(12, 5), WeightLoaders.Linear(LinearLayout.ForDown(12, 20, parallel), ParameterAxes.Weight));
        yield return (new Shape(16, 3), WeightLoaders.PaddedVocabulary(53, parallel));
        yield return (new Shape(2, 6, 5), WeightLoaders.Experts(
            ExpertPlacement.Contiguous(4, 2, 1), LinearLayout.ForGateUp(5, 12, parallel, "w1", "w3"), ParameterAxes.Weight));
    }
}

// One class after the other on a device, whose allocations are counted.
[OnDevice(TestDevice.Host)]
[Collection(nameof(TestDevice.Host))]
public sealed class HostDummyWeightsTests() : DummyWeightsOnDeviceTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
[Collection(nameof(TestDevice.Simulator))]
public sealed class SimulatorDummyWeightsTests() : DummyWeightsOnDeviceTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
[Collection(nameof(TestDevice.OpenCL))]
public sealed class OpenCLDummyWeightsTests() : DummyWeightsOnDeviceTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
[Collection(nameof(TestDevice.Cuda))]
public sealed class CudaDummyWeightsTests() : DummyWeightsOnDeviceTests(TestDevice.Cuda);
