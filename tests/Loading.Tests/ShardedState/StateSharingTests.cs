using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What a loaded model shares, which strides it has, and what the load takes of memory.</summary>
public sealed class StateSharingTests
{
    [Fact]
    public async Task What_the_model_has_apart_stays_apart()
    {
        using var folder = new TemporaryFolder();
        var whole = StateSample.Random(1, DType.F32, 6, 4);
        var over = StateSample.Random(3, DType.F16, 100);
        using var expanded = new Tensor(whole.Memory, DType.F32, new Shape(3, 4), [0, 1], 32);
        using var model = StateSample.Model(
            ("z", whole),
            ("tied", StateSample.Random(2, DType.BF16, 5)),
            ("rows", whole.Narrow(0, 2, 2)),
            ("turn", whole.Transpose(0, 1)),
            ("spread", expanded.On(expanded.Device)),
            ("left", over.Narrow(0, 0, 60)),
            ("right", over.Narrow(0, 40, 60)));
        using var again = new Parameter(model.Parameters["tied"].Data.On(HostDevice.Shared));
        _ = model.Register("again", again);
        over.Dispose();
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        var device = new LateDevice();
        using (var fresh = StateSample.Fresh(model))
        {
            _ = await StateSample.Loader.LoadAsync(fresh, folder["out"], null, new ShardedStateLoadOptions { Load = new LoadOptions { Device = device } });
            StateSample.AssertSame(model, fresh);
            Assert.Equal(8, fresh.NamedState().Select(entry => entry.Tensor.Memory).Distinct().Count());
            Assert.Equal(8, device.LiveAllocations);
            // Nobody keeps the memory that was shared for a part of it.
            Assert.InRange(device.LiveBytes, 1, (96 * 3) + 16 + (10 * 2) + (120 * 2) + 1024);
            Assert.Equal([1, 4], fresh.Parameters["turn"].Data.Strides.AsEnumerable());
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public async Task A_part_of_a_tensor_that_was_saved_with_strides_is_still_a_part_of_it()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("whole", Turned(StateSample.Random(1, DType.F32, 4, 3))));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        var whole = Tensor.Empty(DType.F32, new Shape(3, 4), MetaDevice.Shared);
        using var fresh = StateSample.Model(("part", whole.Narrow(0, 1, 1)), ("whole", whole));
        _ = await StateSample.Loader.LoadAsync(fresh, folder["out"]);
        var bytes = StateSample.Bytes(model.Parameters["whole"].Data);
        Assert.Equal(bytes, StateSample.Bytes(fresh.Parameters["whole"].Data));
        Assert.Equal(bytes[16..32], StateSample.Bytes(fresh.Parameters["part"].Data));
        Assert.Same(fresh.Parameters["whole"].Data.Memory, fresh.Parameters["part"].Data.Memory);
    }

    [Fact]
    public async Task The_strides_of_a_model_stay_where_the_files_say_none()
    {
        using var folder = new TemporaryFolder();
        byte[] bytes = [1, 2, 3, 4, 5, 6];
        StateSample.Write(folder, "model-rank-0-part-0.safetensors", ("a", DType.U8, [2, 3], bytes));
        using var model = StateSample.Model(("a", Tensor.EmptyStrided(DType.U8, new Shape(2, 3), [1, 2], MetaDevice.Shared)));
        _ = await StateSample.Loader.LoadAsync(model, folder.Path);
        Assert.Equal([1, 2], model.Parameters["a"].Data.Strides.AsEnumerable());
        Assert.Equal(bytes, StateSample.Bytes(model.Parameters["a"].Data));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_the_device_cannot_hold_is_refused_before_anything_is_read(bool alone)
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(Enumerable.Range(0, 8).Select(i => ($"t{i}", StateSample.Random(i, DType.U8, 50_000))));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        foreach (var free in (long[])[399_999, 400_000])
        {
            var device = new LateDevice { Free = free };
            var options = new ShardedStateLoadOptions { Load = new LoadOptions { Device = device, StreamWindowBytes = 50_000 } };
            using var fresh = StateSample.Fresh(model);
            if (free < 400_000)
            {
                var exception = await Assert.ThrowsAsync<DeviceMemoryException>(() => RunAsync(fresh, options));
                Assert.Contains("400000", exception.Message, StringComparison.Ordinal);
                Assert.Contains("399999", exception.Message, StringComparison.Ordinal);
                Assert.Equal(0, device.PeakBytes);
            }
            else
            {
                await RunAsync(fresh, options);
            }
        }

        async Task RunAsync(Module fresh, ShardedStateLoadOptions options)
        {
            if (!alone)
            {
                _ = await StateSample.Loader.LoadAsync(fresh, folder["out"], null, options);
                return;
            }

            await using var state = await StateSample.Loader.OpenAsync(folder["out"], 0);
            using var tensors = await state.LoadTensorsAsync(null, options);
        }
    }

    [Fact]
    public async Task Copies_strides_and_conversions_are_in_what_is_refused()
    {
        using var folder = new TemporaryFolder();
        var both = StateSample.Random(1, DType.F16, 10_000);
        using var model = StateSample.Model(("a", both), ("b", both.On(HostDevice.Shared)), ("turned", Turned(StateSample.Random(2, DType.F32, 100, 200))));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        // Two of 20,000 bytes, converted to 40,000 each, and one of 80,000 that is put together: no less will do, and no more is taken.
        foreach (var (free, fits) in ((long, bool)[])[(239_999, false), (240_000, true)])
        {
            var device = new LateDevice { Free = free };
            using var fresh = new Module();
            _ = fresh.Register("a", new Parameter(DType.F32, new Shape(10_000)));
            _ = fresh.Register("b", new Parameter(DType.F32, new Shape(10_000)));
            _ = fresh.Register("turned", new Parameter(DType.F32, new Shape(200, 100)));
            var options = new ShardedStateLoadOptions { Load = new LoadOptions { Device = device, StreamWindowBytes = 20_000, StagingBytes = 1 << 16 } };
            if (!fits)
            {
                await Assert.ThrowsAsync<DeviceMemoryException>(() => StateSample.Loader.LoadAsync(fresh, folder["out"], null, options));
                continue;
            }

            _ = await StateSample.Loader.LoadAsync(fresh, folder["out"], null, options);
            Assert.InRange(device.PeakBytes, 160_000, 240_000);
            Assert.Equal(160_000, device.LiveBytes);
        }
    }

    [Fact]
    public async Task A_memory_that_would_be_larger_than_what_is_free_is_refused()
    {
        using var folder = new TemporaryFolder();
        folder.Write(
            "model-rank-0-part-0.safetensors",
            new SafetensorsBuilder().AddMetadata(new Dictionary<string, string>
            {
                ["ilgpu-loader/state/0"] = """{"schema":"ilgpu-loader/state/1","memories":[{"bytes":6442450944,"tensors":{"a":{"dtype":"U8","shape":[2],"strides":[6442450943]}}}],"tensors":{}}""",
            }).Add("a", "U8", [2], [1, 2]).ToBytes());
        var device = new LateDevice { Free = 1 << 30 };
        using var fresh = StateSample.Model(("a", Tensor.Empty(DType.U8, new Shape(2), MetaDevice.Shared)));
        await Assert.ThrowsAsync<DeviceMemoryException>(() => StateSample.Loader.LoadAsync(fresh, folder.Path, null, new ShardedStateLoadOptions { Load = new LoadOptions { Device = device } }));
        Assert.Equal(0, device.PeakBytes);
    }

    [Fact]
    public async Task A_model_that_somebody_changes_meanwhile_is_not_half_filled()
    {
        using var folder = new TemporaryFolder();
        using var model = StateSample.Model(("a", StateSample.Random(1, DType.F32, 4)), ("b", StateSample.Random(2, DType.F32, 4)));
        _ = await StateSample.Loader.SaveModelAsync(model, folder["out"]);
        var device = new LateDevice();
        using var fresh = new Module();
        _ = fresh.Register("a", new Parameter(DType.F32, new Shape(4)));
        _ = fresh.Register("b", Tensor.Empty(DType.F32, new Shape(4), MetaDevice.Shared));
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => StateSample.Loader.LoadAsync(
            fresh, folder["out"], null, new ShardedStateLoadOptions { Load = new LoadOptions { Device = device } }, new Removing(fresh)));
        Assert.Contains("'b'", exception.Message, StringComparison.Ordinal);
        Assert.True(fresh.Parameters["a"].IsMeta);
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    private static Tensor Turned(Tensor tensor)
    {
        using (tensor)
        {
            return tensor.Transpose(0, 1);
        }
    }

    private sealed class Removing(Module model) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => model.RemoveBuffer("b");
    }
}
