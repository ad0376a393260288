using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What a load onto a device can be told: streamed, sliced, verified, converted to a file. The bits are those of the host.</summary>
[Trait("Area", "Devices")]
public abstract class DeviceLoadWaysTests(TestDevice kind) : IDisposable
{
    private static readonly string SamplePath = Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");

    private readonly TemporaryFolder _folder = new();

    private Device Device => TestDevices.Get(kind);

    // From a window that holds nothing to one that holds all.
    [DeviceTheory]
    [InlineData(0, null)]
    [InlineData(50_000, DType.F32)]
    [InlineData(1 << 30, DType.F16)]
    public async Task A_stream_hands_over_every_tensor_once_and_complete(long window, DType? dtype)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(SamplePath);
        var loader = new CheckpointLoader();
        var options = new LoadOptions { Device = Device, DType = dtype, StreamWindowBytes = window, StagingBytes = 128 << 10, Lanes = 2 };
        using var expected = await loader.LoadAsync(loader.Plan(checkpoint, options with { Device = HostDevice.Shared }));
        var names = new HashSet<string>();
        await foreach (var (name, tensor) in loader.StreamAsync(loader.Plan(checkpoint, options)))
        {
            using (tensor)
            {
                Assert.True(names.Add(name), $"{name} came twice.");
                AssertSame(name, expected[name], tensor);
            }
        }

        Assert.Equal(expected.Count, names.Count);
        Assert.Equal((0, 0L), (Device.LiveAllocations, Device.LiveBytes));
    }

    [DeviceTheory]
    [InlineData(null)]
    [InlineData(DType.F32)]
    public async Task Each_rank_gets_its_part(DType? dtype)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(SamplePath);
        var loader = new CheckpointLoader();
        for (var rank = 0; rank < 2; rank++)
        {
            var options = new LoadOptions { Device = Device, DType = dtype, TensorParallel = new TensorParallel(2, rank), StagingBytes = 128 << 10 };
            var plan = loader.Plan(checkpoint, options);
            Assert.True(plan.SlicedCount > 0);
            using var expected = await loader.LoadAsync(loader.Plan(checkpoint, options with { Device = HostDevice.Shared }));
            using var model = await loader.LoadAsync(plan);
            AssertSame(expected, model);
        }

        Assert.Equal((0, 0L), (Device.LiveAllocations, Device.LiveBytes));
    }

    [DeviceTheory]
    [InlineData(DType.F32)]
    [InlineData(DType.F8_E4M3)]
    public async Task A_file_that_the_device_converts_is_the_one_that_the_host_converts(DType dtype)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(SamplePath);
        var options = new ConversionOptions { Device = Device, DType = dtype, StagingBytes = 128 << 10, Lanes = 2 };
        var (here, there) = (_folder["host.safetensors"], _folder["device.safetensors"]);
        await CheckpointConverter.ConvertAsync(checkpoint, here, options with { Device = HostDevice.Shared });
        var result = await CheckpointConverter.ConvertAsync(checkpoint, there, options);
        Assert.Equal(checkpoint.Tensors.Length, result.ConvertedTensors);
        Assert.True(Enumerable.SequenceEqual(await File.ReadAllBytesAsync(here), await File.ReadAllBytesAsync(there)), "The files differ.");
        Assert.Equal((0, 0L), (Device.LiveAllocations, Device.LiveBytes));
    }

    [DeviceFact]
    public async Task What_is_not_what_its_manifest_says_does_not_stay_on_the_device()
    {
        foreach (var file in Directory.GetFiles(SamplePath))
        {
            File.Copy(file, _folder[Path.GetFileName(file)]);
        }

        var loader = new CheckpointLoader();
        TensorManifest manifest;
        string path, name;
        long at;
        await using (var checkpoint = await Checkpoint.OpenAsync(_folder.Path))
        {
            manifest = TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint));
            var options = new LoadOptions { Device = Device, DType = DType.F32, Manifest = manifest, StagingBytes = 128 << 10 };
            using var expected = await loader.LoadAsync(loader.Plan(checkpoint, options with { Device = HostDevice.Shared }));
            using var model = await loader.LoadAsync(loader.Plan(checkpoint, options));
            AssertSame(expected, model);
            var changed = checkpoint.Tensors[^1];
            (name, path, at) = (changed.Name, changed.File.Path, changed.Offset + changed.ByteLength - 1);
        }

        await using (var file = File.Open(path, FileMode.Open))
        {
            file.Position = at;
            var value = (byte)file.ReadByte();
            file.Position = at;
            file.WriteByte((byte)(value ^ 1));
        }

        await using var other = await Checkpoint.OpenAsync(_folder.Path);
        var plan = loader.Plan(other, new LoadOptions { Device = Device, DType = DType.F32, Manifest = manifest, StagingBytes = 128 << 10 });
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(() => loader.LoadAsync(plan));
        Assert.Equal(name, Assert.Single(error.Mismatches).Tensor);
        Assert.Equal((0, 0L), (Device.LiveAllocations, Device.LiveBytes));
    }

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    internal static void AssertSame(LoadedModel expected, LoadedModel model)
    {
        Assert.Equal(expected.Count, model.Count);
        foreach (var (name, tensor) in expected)
        {
            AssertSame(name, tensor, model[name]);
        }
    }

    internal static void AssertSame(string name, Tensor expected, Tensor tensor)
    {
        Assert.Equal((expected.DType, expected.Shape), (tensor.DType, tensor.Shape));
        using var back = tensor.To(HostDevice.Shared);
        Assert.True(expected.AsSpan<byte>().SequenceEqual(back.AsSpan<byte>()), $"{name} differs.");
    }
}

// One class after the other on a device, whose allocations are counted.
[OnDevice(TestDevice.Host)]
[Collection(nameof(TestDevice.Host))]
public sealed class HostLoadWaysTests() : DeviceLoadWaysTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
[Collection(nameof(TestDevice.Simulator))]
public sealed class SimulatorLoadWaysTests() : DeviceLoadWaysTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
[Collection(nameof(TestDevice.OpenCL))]
public sealed class OpenCLLoadWaysTests() : DeviceLoadWaysTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
[Collection(nameof(TestDevice.Cuda))]
public sealed class CudaLoadWaysTests() : DeviceLoadWaysTests(TestDevice.Cuda);
