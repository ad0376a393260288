using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LoadIntoTests
{
    private static readonly Sample Tensors = Sample.Make(
        7, ("a", DType.F32, [10, 10]), ("large", DType.F32, [700_000]), ("empty", DType.F32, [0]), ("i", DType.I32, [3]));

    [Fact]
    public async Task The_addresses_stay_and_the_content_is_replaced()
    {
        var other = Sample.Make(
            8, ("a", DType.F32, [10, 10]), ("large", DType.F32, [700_000]), ("empty", DType.F32, [0]), ("i", DType.I32, [3]));
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        await using var first = await Tensors.OpenAsync();
        await using var second = await other.OpenAsync();
        var options = new LoadOptions { Device = device, DType = DType.F16, Lanes = 2 };
        var model = await loader.LoadAsync(loader.Plan(first, options));
        await using (model)
        {
            var addresses = model.Select(tensor => ((HostMemory)tensor.Tensor.Memory).Address).ToArray();
            var plan = loader.Plan(second, options);
            var statistics = await loader.LoadIntoAsync(plan, model);
            other.AssertLoaded(plan, model);
            Assert.Equal(addresses, model.Select(tensor => ((HostMemory)tensor.Tensor.Memory).Address));
            Assert.Equal(plan.BytesToRead, statistics.BytesRead);
            Assert.Equal(4, device.LiveAllocations);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public async Task A_part_of_a_model_can_be_loaded_again()
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        await using var checkpoint = await Tensors.OpenAsync();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device }));
        Assert.All(model, tensor => tensor.Tensor.AsSpan<byte>().Clear());
        await loader.LoadIntoAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, Include = ["large"] }), model);
        Assert.Equal(Tensors.Tensors["large"], model["large"].AsSpan<byte>().ToArray());
        Assert.Equal(new byte[400], model["a"].AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task A_model_of_another_plan_is_refused_untouched()
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        RecordingSource? source = null;
        await using var checkpoint = await Tensors.OpenAsync(inner => source = new RecordingSource(inner));
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
        LoadOptions[] others =
        [
            new() { Device = device, DType = DType.F16 },
            new() { Device = device, Exclude = ["empty"] },
            new() { Device = new HostDevice() },
            new() { Device = new MetaDevice() },
        ];
        foreach (var options in others)
        {
            await using var other = await loader.LoadAsync(loader.Plan(checkpoint, options));
            var reads = source!.Reads.Count;
            var error = await Assert.ThrowsAsync<ArgumentException>(() => loader.LoadIntoAsync(plan, other));
            Assert.Contains("not loaded by an equal plan", error.Message, StringComparison.Ordinal);
            Assert.Equal(reads, source.Reads.Count);
        }

        await using var model = await loader.LoadAsync(plan);
        using (model.Detach("a"))
        {
            await Assert.ThrowsAsync<ArgumentException>(() => loader.LoadIntoAsync(plan, model));
        }
    }

    [Fact]
    public async Task A_disposed_model_is_refused()
    {
        var loader = new CheckpointLoader();
        RecordingSource? source = null;
        await using var checkpoint = await Tensors.OpenAsync(inner => source = new RecordingSource(inner));
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = new HostDevice() });
        var model = await loader.LoadAsync(plan);
        await model.DisposeAsync();
        var reads = source!.Reads.Count;
        await Assert.ThrowsAsync<ObjectDisposedException>(() => loader.LoadIntoAsync(plan, model));
        Assert.Equal(reads, source.Reads.Count);
    }

    [Fact]
    public async Task A_failure_leaves_the_model_to_its_owner()
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        await using var checkpoint = await Tensors.OpenAsync();
        var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device }));
        await using var failing = await Tensors.OpenAsync(inner => ThrowingSource.AfterBytes(inner, 1_000_000));
        await Assert.ThrowsAsync<IOException>(() => loader.LoadIntoAsync(loader.Plan(failing, new LoadOptions { Device = device }), model));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => loader.LoadIntoAsync(
            loader.Plan(checkpoint, new LoadOptions { Device = device }), model, null, new CancellationToken(canceled: true)));
        Assert.Equal(4, device.LiveAllocations);
        Assert.False(model["a"].IsDisposed);
        model.Dispose();
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }
}
