using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;
using Half = System.Half;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>One accelerator wrapped twice, and an application's own kernel between.</summary>
[Trait("Area", "Devices")]
public abstract class SharedAcceleratorTests(TestDevice kind)
{
    [DeviceFact]
    public void What_one_wrap_holds_the_other_uses()
    {
        var accelerator = ((IlgpuDevice)TestDevices.Get(kind)).Accelerator;
        using var first = IlgpuDevice.Wrap(accelerator);
        using var second = IlgpuDevice.Wrap(accelerator);
        Assert.Equal(accelerator is CLAccelerator, first.LaunchLock is not null);
        Assert.True(first.LaunchLock == second.LaunchLock, "Each has a launch lock of its own.");
        var values = Enumerable.Range(0, 1000).Select(i => (Half)(i / 8f)).ToArray();
        using (var host = Tensor.FromValues<Half>(DType.F16, new Shape(100, 10), values))
        using (var stored = host.To(first))
        using (var turned = stored.Transpose(0, 1))
        using (var target = Tensor.Empty(DType.F32, new Shape(10, 100), second))
        {
            // Converted and turned on the second, from the first's memory into its own.
            target.CopyFrom(turned);
            Assert.Equal(1, second.LiveAllocations);
            var expected = Enumerable.Range(0, 1000).Select(i => (float)values[(i % 100 * 10) + (i / 100)]).ToArray();
            Assert.Equal(expected, Singles(target));

            // The application writes, and either sees it.
            accelerator.LoadAutoGroupedStreamKernel<Index1D, ArrayView<float>>(Double)(1000, target.AsArrayView<float>());
            accelerator.Synchronize();
            using var back = target.To(first);
            Assert.Equal(expected.Select(value => value * 2), Singles(back));
        }

        Assert.Equal((0, 0L), (first.LiveAllocations, first.LiveBytes));
        Assert.Equal((0, 0L), (second.LiveAllocations, second.LiveBytes));
    }

    private static void Double(Index1D index, ArrayView<float> values) => values[index] *= 2;

    private static float[] Singles(Tensor tensor) =>
        MemoryMarshal.Cast<byte, float>(DeviceBytes.Values(tensor)).ToArray();
}

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorSharedAcceleratorTests() : SharedAcceleratorTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLSharedAcceleratorTests() : SharedAcceleratorTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaSharedAcceleratorTests() : SharedAcceleratorTests(TestDevice.Cuda);
