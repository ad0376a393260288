using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LoadTests
{
    private static readonly Func<byte[], IByteSource>[] Sources =
    [
        bytes => new MemorySource(bytes),
        bytes => new StreamSource(new MemoryStream(bytes)),
        bytes => new ShortReadSource(new MemorySource(bytes), 40_000),
        bytes => new SynchronousSource(new ShortReadSource(new MemorySource(bytes), 70_000)),
        bytes => new ShortReadSource(new StreamSource(new MemoryStream(bytes)), 7777),
    ];

    [Theory]
    [InlineData("alltypes.safetensors")]
    [InlineData("nopad.safetensors")]
    [InlineData("fp8.safetensors")]
    public async Task Golden_files_come_out_as_PyTorch_wrote_them(string file)
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var sample = Sample.Of(GoldenArchive.Read(TorchManifest.Set, file));
        await using var checkpoint = await sample.OpenAsync();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
        await using (var model = await loader.LoadAsync(plan))
        {
            sample.AssertLoaded(plan, model);
            foreach (var (name, expected) in TorchManifest.Tensors(file))
            {
                var values = NpyFile.Golden(TorchManifest.Set, expected.Expected!);
                Assert.False(values.FortranOrder);
                Assert.Equal(new Shape([.. expected.Shape!]), model[name].Shape);
                Assert.Equal(values.Data.ToArray(), model[name].AsSpan<byte>().ToArray());
            }
        }

        AssertNothingLives(device);
    }

    [Fact]
    public async Task Every_golden_file_that_opens_loads_whole()
    {
        var loaded = 0;
        foreach (var name in GoldenArchive.Names("safetensors").Where(name => name.EndsWith(".safetensors", StringComparison.Ordinal)))
        {
            var bytes = GoldenArchive.Read("safetensors", name);
            Checkpoint checkpoint;
            try
            {
                checkpoint = await Checkpoint.OpenAsync(new MemorySource(bytes));
            }
            catch (CheckpointException)
            {
                // Broken on purpose.
                continue;
            }

            await using (checkpoint)
            {
                var device = new HostDevice();
                var loader = new CheckpointLoader();
                var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
                await using (var model = await loader.LoadAsync(plan))
                {
                    Sample.Of(bytes).AssertLoaded(plan, model);
                    loaded++;
                }

                AssertNothingLives(device);
            }
        }

        Assert.True(loaded >= 5, $"only {loaded} files were loaded");
    }

    [Fact]
    public async Task A_model_comes_out_the_same_through_any_lanes_slots_and_sources()
    {
        using var folder = new TemporaryFolder();
        await LlamaSynthesizer.WriteAsync(
            folder["model"], new LlamaOptions { Hidden = 128, Vocabulary = 9000, DType = DType.F32, Layers = 1 });
        var path = folder["model/model.safetensors"];
        var sample = Sample.Of(File.ReadAllBytes(path));
        for (var lanes = 1; lanes <= 4; lanes++)
        {
            foreach (var staging in new[] { 64L << 10, 200_000, 3 << 20, LoadOptions.DefaultStagingBytes })
            {
                await using var local = await Checkpoint.OpenAsync(path);
                await LoadAndCompareAsync(sample, local, lanes, staging);
                await using var other = await Checkpoint.OpenAsync(Sources[(lanes + (int)staging) % Sources.Length](sample.File));
                await LoadAndCompareAsync(sample, other, lanes, staging);
            }
        }

        foreach (var source in Sources)
        {
            await using var checkpoint = await Checkpoint.OpenAsync(source(sample.File));
            await LoadAndCompareAsync(sample, checkpoint, 2, 1 << 20);
        }
    }

    [Fact]
    public async Task Shards_load_as_one_model()
    {
        using var folder = new TemporaryFolder();
        await LlamaSynthesizer.WriteAsync(folder["model"], new LlamaOptions { Shards = 3, DType = DType.F32 });
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        await using var checkpoint = await Checkpoint.OpenAsync(folder["model"]);
        await using (var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 3 })))
        {
            Assert.Equal(LlamaSynthesizer.CountTensors(new LlamaOptions()), model.Count);
            foreach (var shard in Directory.EnumerateFiles(folder["model"], "*.safetensors").Select(path => Sample.Of(File.ReadAllBytes(path))))
            {
                Assert.All(shard.Tensors, tensor => Assert.Equal(tensor.Value, model[tensor.Key].AsSpan<byte>().ToArray()));
            }
        }

        AssertNothingLives(device);
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F64)]
    public async Task Converted_tensors_equal_the_codec_over_the_whole(DType target)
    {
        // Several slots each, so that every seam shows.
        DType[] types = [DType.F64, DType.F32, DType.F16, DType.BF16, DType.I64, DType.U8, DType.BOOL, DType.C64, DType.I16];
        var sample = Sample.Make(11, types.Select(type => (type.Name, type, new long[] { 3, 50_001 })).Append(("empty", DType.F64, [0, 2])));
        foreach (var (all, staging, lanes) in new[] { (false, 64L << 10, 1), (true, 200_000, 3), (true, LoadOptions.DefaultStagingBytes, 2) })
        {
            var device = new HostDevice();
            var loader = new CheckpointLoader();
            await using var checkpoint = await sample.OpenAsync();
            var plan = loader.Plan(checkpoint, new LoadOptions
            {
                Device = device,
                DType = target,
                ConvertAllTypes = all,
                StagingBytes = staging,
                Lanes = lanes,
            });
            await using (var model = await loader.LoadAsync(plan))
            {
                sample.AssertLoaded(plan, model);
                Assert.Equal(all ? new Shape(3, 50_001, 2) : new Shape(3, 50_001), model["C64"].Shape);
                Assert.Equal(all ? target : DType.C64, model["C64"].DType);
            }

            AssertNothingLives(device);
        }
    }

    [Fact]
    public async Task Progress_only_grows_and_ends_complete()
    {
        var sample = Sample.Make(2, Enumerable.Range(0, 40).Select(i => ($"t{i}", DType.F32, new long[] { i * 700 })));
        foreach (var device in new Device[] { new HostDevice(), new LateDevice { SlotBytes = 5000 } })
        {
            await using var checkpoint = await sample.OpenAsync();
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 4, StagingBytes = 64 << 10 });
            var progress = new RecordedProgress();
            var model = await loader.LoadAsync(plan, progress);
            progress.AssertComplete(plan);
            Assert.Equal((40, plan.BytesToRead, plan.DestinationBytes), (model.Statistics.Tensors, model.Statistics.BytesRead, model.Statistics.BytesPlaced));
            Assert.Equal(plan.Staging.Lanes, model.Statistics.Lanes);

            var again = new RecordedProgress();
            await loader.LoadIntoAsync(plan, model, again);
            again.AssertComplete(plan);
            await model.DisposeAsync();

            var streamed = new RecordedProgress();
            await foreach (var (_, tensor) in loader.StreamAsync(plan, streamed))
            {
                tensor.Dispose();
            }

            streamed.AssertComplete(plan);
            AssertNothingLives(device);
        }
    }

    [Fact]
    public async Task Onto_meta_shapes_come_without_reads()
    {
        var sample = Sample.MakeRandom(17);
        var device = new MetaDevice();
        RecordingSource? source = null;
        await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
        var reads = source!.Reads.Count;
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
        await using (var model = await loader.LoadAsync(plan))
        {
            Assert.All(plan.Tensors, tensor => Assert.Equal((tensor.DType, tensor.Shape), (model[tensor.Name].DType, model[tensor.Name].Shape)));
            Assert.Equal(checkpoint.TensorBytes, device.LiveBytes);
        }

        Assert.Equal(reads, source.Reads.Count);
        AssertNothingLives(device);
    }

    [Fact]
    public async Task A_checkpoint_without_tensors_is_an_empty_model()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(new SafetensorsBuilder().ToBytes()));
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint);
        await using var model = await loader.LoadAsync(plan);
        Assert.Empty(model);
        await foreach (var tensor in loader.StreamAsync(plan))
        {
            Assert.Fail($"{tensor.Name} came from nowhere");
        }
    }

    [Fact]
    public async Task A_read_covers_each_byte_once()
    {
        var sample = Sample.MakeRandom(23);
        RecordingSource? source = null;
        await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
        var before = source!.BytesRead;
        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = new HostDevice(), Lanes = 2 }));
        Assert.Equal(checkpoint.TensorBytes, source.BytesRead - before);
    }

    [Fact]
    public async Task Loads_of_one_plan_may_run_side_by_side()
    {
        var sample = Sample.MakeRandom(29, longest: 30_000);
        var device = new HostDevice();
        await using var checkpoint = await sample.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 2, StagingBytes = 128 << 10 });
        var models = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => loader.LoadAsync(plan)));
        foreach (var model in models)
        {
            sample.AssertLoaded(plan, model);
            await model.DisposeAsync();
        }

        AssertNothingLives(device);
    }

    private static async Task LoadAndCompareAsync(Sample sample, Checkpoint checkpoint, int lanes, long staging)
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = lanes, StagingBytes = staging });
        await using (var model = await loader.LoadAsync(plan))
        {
            sample.AssertLoaded(plan, model);
            Assert.Equal(plan.DestinationBytes, device.LiveBytes);
        }

        AssertNothingLives(device);
    }

    private static void AssertNothingLives(Device device) => Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
}
