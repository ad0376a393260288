using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A load onto a device gives the bits that a load onto the host gives, for every golden file and the sample.</summary>
[Trait("Area", "Devices")]
public abstract class DeviceLoadTests(TestDevice kind) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, DType?> Loads
    {
        get
        {
            var loads = new TheoryData<string, DType?>();
            foreach (var set in new[] { "safetensors", "gguf", "torch" })
            {
                foreach (var target in new DType?[] { null, DType.F32, DType.BF16 })
                {
                    loads.Add(set, target);
                }
            }

            return loads;
        }
    }

    [DeviceTheory]
    [MemberData(nameof(Loads))]
    public async Task Golden_files_load_to_the_same_bits(string set, DType? dtype)
    {
        GoldenArchive.ExtractTo(set, _folder.Path);
        var loaded = 0;
        foreach (var path in Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            loaded += await CompareAsync(path, dtype);
        }

        // Some files of each set are there to be refused; which, other tests say.
        Assert.True(loaded >= 15, $"{loaded} tensors were compared.");
        Assert.Equal(0, TestDevices.Get(kind).LiveAllocations);
    }

    [DeviceFact]
    public async Task The_sample_loads_in_many_runs_through_few_small_slots()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"));
        var device = TestDevices.Get(kind);
        var options = new LoadOptions { Device = device, DType = DType.F32, StagingBytes = 128 << 10, Lanes = 2 };
        using var expected = await LoadAsync(checkpoint, options with { Device = HostDevice.Shared });
        using (var model = await LoadAsync(checkpoint, options))
        {
            Assert.True(model.Statistics.BytesRead > 2 * options.StagingBytes);
            CompareTensors(checkpoint.Path, expected, model);

            // Once more into the same memory.
            await new CheckpointLoader().LoadIntoAsync(new CheckpointLoader().Plan(checkpoint, options), model);
            CompareTensors(checkpoint.Path, expected, model);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [DeviceTheory]
    [InlineData(null)]
    [InlineData(DType.BF16)]
    public async Task Slabs_hold_the_same_bits_in_fewer_allocations(DType? dtype)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"));
        var device = TestDevices.Get(kind);
        var options = new LoadOptions { Device = device, DType = dtype, SlabBytes = 64 << 10, Lanes = 2 };
        using var expected = await LoadAsync(checkpoint, new LoadOptions { DType = dtype });
        using (var model = await LoadAsync(checkpoint, options))
        {
            Assert.True(device.LiveAllocations < model.Count, $"{device.LiveAllocations} allocations hold {model.Count} tensors.");
            CompareTensors(checkpoint.Path, expected, model);
            await new CheckpointLoader().LoadIntoAsync(new CheckpointLoader().Plan(checkpoint, options), model);
            CompareTensors(checkpoint.Path, expected, model);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [DeviceFact]
    public async Task A_cancelled_load_frees_the_device()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"));
        var device = TestDevices.Get(kind);
        using var cancelled = new CancellationTokenSource();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device, DType = DType.F32, StagingBytes = 128 << 10 });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            new CheckpointLoader().LoadAsync(plan, new CancelAtFirst(cancelled), cancelled.Token));
        Assert.Equal(0, device.LiveAllocations);
    }

    [DeviceFact]
    public async Task More_than_the_device_has_is_refused_before_anything_is_read()
    {
        // More than any device has, and all of it a hole in the file.
        const long bytes = 1L << 42;
        var header = $$$"""{"large":{"dtype":"U8","shape":[{{{bytes}}}],"data_offsets":[0,{{{bytes}}}]}}""";
        var path = _folder.Write("large.safetensors", [.. BitConverter.GetBytes((long)header.Length), .. Encoding.UTF8.GetBytes(header)]);
        await using (var file = File.OpenWrite(path))
        {
            file.SetLength(sizeof(long) + header.Length + bytes);
        }

        var device = TestDevices.Get(kind);
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device });
        var progress = new RecordedProgress();
        var exception = await Assert.ThrowsAsync<DeviceMemoryException>(() => new CheckpointLoader().LoadAsync(plan, progress));
        Assert.Equal(device.Id, exception.Device);
        Assert.InRange(exception.Requested, bytes, bytes + plan.Staging.Bytes);
        Assert.InRange(exception.Available, 1, bytes);
        Assert.Contains("'large' (4398046511104 bytes)", exception.Message, StringComparison.Ordinal);
        Assert.All(progress.Reports, report => Assert.Equal(0, report.BytesRead));
        Assert.Equal(0, device.LiveAllocations);
    }

    [DeviceFact]
    public void An_allocation_that_the_driver_refuses_says_what_was_asked_and_what_is_free()
    {
        var device = TestDevices.Get(kind);
        var exception = Assert.Throws<DeviceMemoryException>(() => device.Allocate(1L << 50));
        Assert.Equal(device.Id, exception.Device);
        Assert.Equal(1L << 50, exception.Requested);
        Assert.InRange(exception.Available, 1, 1L << 50);
        Assert.Equal(0, device.LiveAllocations);
    }

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private static Task<LoadedModel> LoadAsync(Checkpoint checkpoint, LoadOptions options) =>
        new CheckpointLoader().LoadAsync(new CheckpointLoader().Plan(checkpoint, options));

    private async Task<int> CompareAsync(string path, DType? dtype)
    {
        Checkpoint checkpoint;
        LoadedModel expected;
        var options = new LoadOptions { DType = dtype, ConvertAllTypes = true };
        try
        {
            checkpoint = await Checkpoint.OpenAsync(path);
        }
        catch (Exception exception) when (exception is CheckpointException or IOException)
        {
            return 0;
        }

        await using (checkpoint)
        {
            try
            {
                expected = await LoadAsync(checkpoint, options);
            }
            catch (CheckpointException)
            {
                return 0;
            }

            using (expected)
            using (var model = await LoadAsync(checkpoint, options with { Device = TestDevices.Get(kind) }))
            {
                return CompareTensors(path, expected, model);
            }
        }
    }

    private static int CompareTensors(string path, LoadedModel expected, LoadedModel model)
    {
        var compared = 0;
        foreach (var (name, tensor) in expected)
        {
            var onDevice = model[name];
            Assert.Equal((tensor.DType, tensor.Shape), (onDevice.DType, onDevice.Shape));
            using var contiguous = tensor.To(HostDevice.Shared);
            using var back = onDevice.To(HostDevice.Shared);
            Assert.True(contiguous.AsSpan<byte>().SequenceEqual(back.AsSpan<byte>()), $"{Path.GetFileName(path)}: {name} differs.");
            compared++;
        }

        return compared;
    }

    private sealed class CancelAtFirst(CancellationTokenSource source) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => source.Cancel();
    }
}

// One class after the other on a device, whose allocations are counted.
[OnDevice(TestDevice.Host)]
[Collection(nameof(TestDevice.Host))]
public sealed class HostLoadTests() : DeviceLoadTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
[Collection(nameof(TestDevice.Simulator))]
public sealed class SimulatorLoadTests() : DeviceLoadTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
[Collection(nameof(TestDevice.OpenCL))]
public sealed class OpenCLLoadTests() : DeviceLoadTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
[Collection(nameof(TestDevice.Cuda))]
public sealed class CudaLoadTests() : DeviceLoadTests(TestDevice.Cuda);
