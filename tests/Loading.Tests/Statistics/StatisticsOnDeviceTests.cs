using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Statistics that a device computes of what is staged for it and of what is loaded onto it: the host's, to the bit.</summary>
[Trait("Area", "Devices")]
public abstract class StatisticsOnDeviceTests(TestDevice kind)
{
    // A chunk and some more: the simulator runs a million threads a second.
    private const int Elements = 4096 + 512;

    public static TheoryData<DType> Stored => new(DType.All.Where(dtype => dtype.IsSafetensors));

    public static TheoryData<DType> Blocks => new(DType.All.Where(dtype => dtype.IsBlock && GgufTypes.TryGetId(dtype, out _)));

    [DeviceTheory]
    [MemberData(nameof(Stored))]
    public async Task Every_dtype_has_the_bits_of_the_host(DType dtype)
    {
        await using var checkpoint = await Sample
            .Make((int)dtype, ("long", dtype, [Elements]), ("short", dtype, [4]), ("empty", dtype, [0, 4])).OpenAsync();
        await AssertSameAsync(checkpoint);
    }

    [DeviceTheory]
    [MemberData(nameof(Blocks))]
    public async Task Every_block_type_has_the_bits_of_the_host(DType dtype)
    {
        Assert.True(GgufTypes.TryGetId(dtype, out var id));
        var blocks = new byte[dtype.ByteCount(Elements)];
        new Random((int)dtype).NextBytes(blocks);
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(new GgufBuilder().Tensor("t", id, [Elements], blocks).ToBytes()));
        await AssertSameAsync(checkpoint);
    }

    [DeviceFact]
    public async Task The_first_value_that_is_not_finite_is_named_with_its_place_on_the_device()
    {
        var halves = new byte[2 * 9000];
        (halves[2 * 8000], halves[(2 * 8000) + 1]) = (0x01, 0x7E);
        await using var checkpoint = await Sample.Of(new SafetensorsBuilder().Add("a", "F16", [90, 100], halves).ToBytes()).OpenAsync();
        var device = TestDevices.Get(kind);
        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device }));
        var loaded = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(model));
        Assert.Contains(
            $"tensor 'a': of 9000 values 1 is NaN as F16 on {device.Id}, the first at [80, 0]; ", loaded.Message, StringComparison.Ordinal);
        var staged = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint, device: device));
        Assert.Equal(checkpoint["a"].Offset + (2 * 8000), staged.Offset);
    }

    private async Task AssertSameAsync(Checkpoint checkpoint)
    {
        var device = TestDevices.Get(kind);
        var expected = await StatisticsReader.ReadAsync(checkpoint);
        Assert.Equal(expected.AsEnumerable(), await StatisticsReader.ReadAsync(checkpoint, device: device));
        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device }));
        foreach (var (tensor, values) in expected)
        {
            Assert.Equal(values, await LoadedStatistics.ComputeAsync(model[tensor.Name]));
        }
    }
}

// One class after the other on a device, whose allocations are counted.
[OnDevice(TestDevice.Host)]
[Collection(nameof(TestDevice.Host))]
public sealed class HostStatisticsTests() : StatisticsOnDeviceTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
[Collection(nameof(TestDevice.Simulator))]
public sealed class SimulatorStatisticsTests() : StatisticsOnDeviceTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
[Collection(nameof(TestDevice.OpenCL))]
public sealed class OpenCLStatisticsTests() : StatisticsOnDeviceTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
[Collection(nameof(TestDevice.Cuda))]
public sealed class CudaStatisticsTests() : StatisticsOnDeviceTests(TestDevice.Cuda);
