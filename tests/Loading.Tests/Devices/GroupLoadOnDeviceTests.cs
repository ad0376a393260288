using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>One load onto the host and one more device: read once, and both have the bits of the host's own load.</summary>
[Trait("Area", "Devices")]
public abstract class GroupLoadOnDeviceTests(TestDevice kind)
{
    [DeviceTheory]
    [InlineData(null)]
    [InlineData(DType.F32)]
    public async Task Both_have_every_tensor_of_one_load(DType? dtype)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"));
        var loader = new CheckpointLoader();
        var (host, device) = (new HostDevice(), TestDevices.Get(kind));
        var group = new DeviceGroup(host, device);
        var options = new LoadOptions { Device = group, DType = dtype, StagingBytes = 128 << 10, Lanes = 2 };
        var alone = loader.Plan(checkpoint, options with { Device = HostDevice.Shared });
        using (var expected = await loader.LoadAsync(alone))
        using (var model = await loader.LoadAsync(loader.Plan(checkpoint, options)))
        {
            Assert.Equal(expected.Statistics.BytesRead, model.Statistics.BytesRead);
            Assert.Equal(expected.Count, model.Count);
            foreach (var (name, tensor) in expected)
            {
                foreach (var member in group.Members)
                {
                    using var part = model[name].On(member);
                    DeviceLoadWaysTests.AssertSame(name, tensor, part);
                }
            }
        }

        Assert.Equal((0, 0L), (host.LiveAllocations, host.LiveBytes));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }
}

[OnDevice(TestDevice.Simulator)]
[Collection(nameof(TestDevice.Simulator))]
public sealed class SimulatorGroupLoadTests() : GroupLoadOnDeviceTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
[Collection(nameof(TestDevice.OpenCL))]
public sealed class OpenCLGroupLoadTests() : GroupLoadOnDeviceTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
[Collection(nameof(TestDevice.Cuda))]
public sealed class CudaGroupLoadTests() : GroupLoadOnDeviceTests(TestDevice.Cuda);
