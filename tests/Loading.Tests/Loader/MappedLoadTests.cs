using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Loads from mapped files: the same values as from files that are read, whatever becomes of them.</summary>
public sealed class MappedLoadTests : IDisposable
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    // The sizes put each but the first at an address that is no multiple of its element's size.
    private static readonly Sample Tensors = Sample.Make(
        3, ("byte", DType.U8, [3]), ("f", DType.F32, [64, 96]), ("none", DType.F32, [0, 4]), ("large", DType.BF16, [1_500_001]), ("scalar", DType.F64, []), ("q", DType.F4, [10, 6]));

    private readonly TemporaryFolder _folder = new();
    private readonly HostDevice _device = new();

    public static TheoryData<string, string> GoldenFiles()
    {
        var data = new TheoryData<string, string>();
        foreach (var file in GoldenTorch.FileNames.Concat(["alltypes.safetensors", "fp8.safetensors", "nopad.safetensors", "npy/be_f4.npy", "npy/f_f8.npy", "npy/u1.npy", "npy/deflated.npz", "npy/stored.npz"]))
        {
            data.Add(TorchManifest.Set, file);
        }

        foreach (var file in GoldenArchive.Names(GgufManifest.Set).Where(name => name.EndsWith(".gguf", StringComparison.Ordinal)))
        {
            data.Add(GgufManifest.Set, file);
        }

        foreach (var file in new[] { "ok.safetensors", "f4_ok.safetensors", "f6_ok.safetensors", "ok_scalar.safetensors", "ok_zero_dim.safetensors", "ok_empty.safetensors" })
        {
            data.Add("safetensors", file);
        }

        return data;
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(GoldenFiles))]
    public async Task A_golden_file_has_the_same_values_mapped_as_read(string set, string name)
    {
        var options = new CheckpointOptions { Torch = TorchLimits.Default with { AllowUnknownGlobals = GoldenTorch.NamesForeignClasses(name) } };
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Write(name, GoldenArchive.Read(set, name)), options);
        var loader = new CheckpointLoader();
        foreach (var dtype in new DType?[] { null, DType.F32, DType.F16 })
        {
            var read = new LoadOptions { Device = _device, DType = dtype, ReadMode = ReadMode.Buffered };
            await using var expected = await loader.LoadAsync(loader.Plan(checkpoint, read));
            var plan = loader.Plan(checkpoint, read with { ReadMode = ReadMode.Mapped });
            await using var model = await loader.LoadAsync(plan);
            Assert.Equal(expected.Names, model.Names);
            foreach (var planned in plan.Tensors)
            {
                var (wanted, found) = (expected[planned.Name], model[planned.Name]);
                Assert.Equal((wanted.DType, wanted.Shape, wanted.IsContiguous), (found.DType, found.Shape, found.IsContiguous));
                Assert.Equal(Bytes(wanted), Bytes(found));
                Assert.Equal(planned.IsMapped, found.IsReadOnly);
                Assert.False(wanted.IsReadOnly);
            }
        }

        Assert.Equal((0, 0L), (_device.LiveAllocations, _device.LiveBytes));
        Assert.All(checkpoint.Files.Select(file => file.Source).OfType<LocalFileSource>(), source => Assert.Equal(0, source.LiveMappings));
    }

    [Theory]
    [InlineData("gguf", "big-endian-plain.gguf")]
    [InlineData(TorchManifest.Set, "npy/be_f4.npy")]
    [InlineData(TorchManifest.Set, "npy/deflated.npz")]
    public async Task What_is_turned_round_or_inflated_as_it_is_read_is_not_mapped(string set, string name)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(_folder.Write(name, GoldenArchive.Read(set, name)));
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = _device, ReadMode = ReadMode.Mapped });
        Assert.Contains(plan.Tensors, tensor => tensor is { IsMapped: false, ByteLength: > 0 } && tensor.DType.BlockSize > 1);
        Assert.True(plan.BytesToRead > 0);
    }

    [Fact]
    public void Any_tensors_are_loaded_streamed_and_verified_on_any_device_in_any_dtype()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            LoadAnyAsync(new Random(seed), seed).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(200));
    }

    [Fact]
    public void Any_views_of_a_storage_are_those_of_the_file()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            LoadViewsAsync(new Random(seed), seed).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(200));
    }

    [Fact]
    public async Task What_is_kept_takes_neither_memory_nor_a_read()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        var plan = Plan(checkpoint);
        var bytes = Tensors.Tensors.Values.Sum(tensor => (long)tensor.Length);
        Assert.Equal((5, bytes, 0L, 0L, 0L), (plan.MappedCount, plan.MappedBytes, plan.DestinationBytes, plan.BytesToRead, plan.BytesNeeded));
        Assert.Equal((0, 0L, 0L), (plan.Runs.Length, plan.Staging.Bytes, plan.MemoryNeeds()[0].NeededBytes));
        Assert.DoesNotContain(plan.LargestTensors(9), tensor => tensor.IsMapped);
        Assert.Equal(0, plan.MemoryOf(plan.Tensors.Single(tensor => tensor.Name == "large")));
        Assert.Contains($"5 tensors are views of mapped files, {bytes} bytes", plan.ToString(), StringComparison.Ordinal);
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Tensors.AssertLoaded(plan, model);
            Assert.Equal((bytes, 0L), (model.Statistics.BytesMapped, model.Statistics.BytesRead));
            Assert.Equal((6, 0L, 1), (_device.LiveAllocations, _device.LiveBytes, Source(checkpoint).LiveMappings));
            Assert.Equal(model.Count, model.Select(tensor => tensor.Tensor.Memory).Distinct().Count());
            // They can be looked at as any others.
            foreach (var (_, tensor) in model)
            {
                using var copy = tensor.To(tensor.DType);
                Assert.Equal(await LoadedStatistics.ComputeAsync(copy), await LoadedStatistics.ComputeAsync(tensor));
            }
        }

        AssertNothingLeft(checkpoint);
    }

    [Fact]
    public async Task Conversions_need_no_staging_slot()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        var plan = Plan(checkpoint, options => options with { DType = DType.F32, Exclude = ["f"] });
        Assert.All(plan.Runs, run => Assert.Equal(RunKind.Mapped, run.Kind));
        Assert.Equal((0L, 1, plan.BytesNeeded), (plan.Staging.Bytes, plan.MappedCount, plan.BytesToRead));
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Tensors.AssertLoaded(plan, model);
            Assert.Equal((true, false), (model["byte"].IsReadOnly, model["large"].IsReadOnly));
        }

        AssertNothingLeft(checkpoint);
    }

    [Theory]
    [InlineData(0, 16, 8, true)]
    [InlineData(0, 16, 0, false)]
    [InlineData(1, 90, 3, false)]
    public async Task A_slice_is_mapped_where_its_bytes_lie_side_by_side(int dimension, int start, int length, bool isMapped)
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        var options = new LoadOptions { Device = _device, ReadMode = ReadMode.Mapped };
        var plan = LoadPlanner.Plan(checkpoint, options, tensor => tensor.Name == "f", _ => new TensorSlice(dimension, start, length));
        Assert.Equal(isMapped, plan.Tensors[0].IsMapped);
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            var rows = dimension == 0 ? Enumerable.Range(start, length) : Enumerable.Range(0, 64);
            var columns = dimension == 0 ? 0..(96 * 4) : (start * 4)..((start + length) * 4);
            var expected = rows.SelectMany(row => Tensors.Tensors["f"][(row * 384)..((row + 1) * 384)][columns]);
            Assert.Equal([.. expected], model["f"].AsReadOnlySpan<byte>().ToArray());
        }

        AssertNothingLeft(checkpoint);
    }

    [Fact]
    public async Task Tensors_outlive_model_checkpoint_and_file()
    {
        var checkpoint = await Tensors.OpenFileAsync(_folder);
        var source = Source(checkpoint);
        var model = await new CheckpointLoader().LoadAsync(Plan(checkpoint));
        await checkpoint.DisposeAsync();
        File.Delete(_folder["sample.safetensors"]);
        var kept = model.Detach("large");
        var row = model["f"].Select(0, 5);
        model.Dispose();
        Assert.Equal((1, 2), (source.LiveMappings, _device.LiveAllocations));
        Assert.Equal(Tensors.Tensors["large"], kept.AsReadOnlySpan<byte>().ToArray());
        kept.Dispose();
        Assert.Equal(Tensors.Tensors["f"][(5 * 384)..(6 * 384)], row.AsReadOnlySpan<byte>().ToArray());
        Assert.Equal((1, 1), (source.LiveMappings, _device.LiveAllocations));
        row.Dispose();
        Assert.Equal((0, 0), (source.LiveMappings, _device.LiveAllocations));
    }

    [Fact]
    public async Task Tied_tensors_and_views_of_a_block_share_the_memory_that_is_mapped()
    {
        var made = ViewSample.Make(3, DType.F32, 30, 9);
        await using var checkpoint = made.OpenFile(
            _folder, new ViewShape("whole", [30, 9], default, 0), new ViewShape("turned", [9, 30], [1, 9], 0), new ViewShape("again", [9, 30], [1, 9], 0), new ViewShape("part", [4, 9], [9, 1], 18));
        var plan = Plan(checkpoint);
        Assert.Equal((1, 1, 4, 30 * 9 * 4L, 0L), (plan.Blocks.Length, plan.TiedCount, plan.MappedCount, plan.MappedBytes, plan.DestinationBytes));
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Assert.Single(model.Select(tensor => tensor.Tensor.Memory).Distinct());
            Assert.All(checkpoint.Tensors, tensor => Assert.Equal(made.Bytes(tensor), TensorBytes.Read(model[tensor.Name])));
            Assert.Equal((1, 0L), (_device.LiveAllocations, _device.LiveBytes));
        }

        AssertNothingLeft(checkpoint);
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(false, DType.F32)]
    public async Task A_file_that_was_cut_after_it_was_opened_is_refused(bool streams, DType? dtype)
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        var plan = Plan(checkpoint, options => options with { DType = dtype });
        Cut();
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => streams ? DrainAsync(plan) : new CheckpointLoader().LoadAsync(plan));
        Assert.Equal((CheckpointErrorCode.FileChanged, _folder["sample.safetensors"]), (error.Code, error.File));
        AssertNothingLeft(checkpoint);
    }

    [Fact]
    public async Task A_file_that_is_cut_while_its_tensors_are_streamed_is_refused_at_the_next()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        var taken = 0;
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(async () =>
        {
            await foreach (var (_, tensor) in new CheckpointLoader().StreamAsync(Plan(checkpoint)))
            {
                tensor.Dispose();
                taken++;
                Cut();
            }
        });
        Assert.Equal((CheckpointErrorCode.FileChanged, 1), (error.Code, taken));
        AssertNothingLeft(checkpoint);
    }

    [Fact]
    public async Task A_manifest_is_held_against_what_is_mapped()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        var manifest = TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint));
        var plan = Plan(checkpoint, options => options with { Manifest = manifest });
        Assert.Equal((5, plan.MappedBytes, plan.MappedBytes), (plan.MappedCount, plan.BytesToRead, plan.BytesNeeded));
        await (await new CheckpointLoader().LoadAsync(plan)).DisposeAsync();
        var entry = manifest.Entries["large"] with { Sha256 = Convert.ToHexStringLower(SHA256.HashData([1])) };
        var other = new TensorManifest(manifest.Entries.Select(pair => pair.Key == "large" ? KeyValuePair.Create(pair.Key, entry) : pair));
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(
            () => new CheckpointLoader().LoadAsync(Plan(checkpoint, options => options with { Manifest = other })));
        Assert.Equal("large", Assert.Single(error.Mismatches).Tensor);
        AssertNothingLeft(checkpoint);
    }

    [Fact]
    public async Task Nothing_is_loaded_into_what_is_mapped()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        var loader = new CheckpointLoader();
        var mapped = Plan(checkpoint);
        var read = Plan(checkpoint, options => options with { ReadMode = ReadMode.Buffered });
        await using (var model = await loader.LoadAsync(mapped))
        await using (var copy = await loader.LoadAsync(read))
        {
            var error = await Assert.ThrowsAsync<InvalidOperationException>(() => loader.LoadIntoAsync(mapped, model));
            Assert.Contains("load the plan anew", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<InvalidOperationException>(() => loader.LoadIntoAsync(mapped, copy));
            error = await Assert.ThrowsAsync<InvalidOperationException>(() => loader.LoadIntoAsync(read, model));
            Assert.Contains("'byte' of the model is a view of a mapped file", error.Message, StringComparison.Ordinal);
            // Without views there is memory to load into.
            var converted = Plan(checkpoint, options => options with { DType = DType.F32, Include = ["large"] });
            await using var floats = await loader.LoadAsync(converted);
            floats["large"].Fill(0);
            await loader.LoadIntoAsync(converted, floats);
            Tensors.AssertLoaded(converted, floats);
            Tensors.AssertLoaded(mapped, model);
        }

        AssertNothingLeft(checkpoint);
    }

    [Fact]
    public async Task A_cancelled_load_leaves_nothing_behind()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        using var cancellation = new CancellationTokenSource();
        var plan = Plan(checkpoint, options => options with { DType = DType.F32 });
        var progress = new CallingProgress(cancellation.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new CheckpointLoader().LoadAsync(plan, progress, cancellation.Token));
        AssertNothingLeft(checkpoint);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new CheckpointLoader().LoadAsync(Plan(checkpoint), null, cancellation.Token));
        AssertNothingLeft(checkpoint);
    }

    [Fact]
    public async Task What_goes_to_other_devices_is_copied_from_the_mapping_into_slots()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        foreach (var device in new Device[] { new LateDevice { SlotBytes = 50_000 }, new LateGroup().Device })
        {
            var plan = Plan(checkpoint, options => options with { Device = device });
            Assert.Equal((0, 0L, plan.BytesNeeded), (plan.MappedCount, plan.MappedBytes, plan.BytesToRead));
            var most = 0;
            var progress = new CallingProgress(() => most = Math.Max(most, Source(checkpoint).LiveMappings));
            await (await new CheckpointLoader().LoadAsync(plan, progress)).DisposeAsync();
            Assert.Equal((1, 0), (most, Source(checkpoint).LiveMappings));
        }
    }

    [Fact]
    public async Task A_stream_that_is_left_early_leaves_nothing_behind()
    {
        await using var checkpoint = await Tensors.OpenFileAsync(_folder);
        await foreach (var (_, tensor) in new CheckpointLoader().StreamAsync(Plan(checkpoint)))
        {
            tensor.Dispose();
            break;
        }

        AssertNothingLeft(checkpoint);
    }

    private static LocalFileSource Source(Checkpoint checkpoint) => (LocalFileSource)checkpoint.Files[0].Source;

    private static byte[] Bytes(Tensor tensor)
    {
        using var copy = tensor.To(tensor.DType);
        return copy.AsSpan<byte>().ToArray();
    }

    private static async Task DrainAsync(LoadPlan plan)
    {
        await foreach (var (_, tensor) in new CheckpointLoader().StreamAsync(plan))
        {
            tensor.Dispose();
        }
    }

    private LoadPlan Plan(Checkpoint checkpoint, Func<LoadOptions, LoadOptions>? change = null)
    {
        var options = new LoadOptions { Device = _device, ReadMode = ReadMode.Mapped };
        return new CheckpointLoader().Plan(checkpoint, change?.Invoke(options) ?? options);
    }

    private void Cut()
    {
        using var stream = new FileStream(_folder["sample.safetensors"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        stream.SetLength(stream.Length - 1);
    }

    private void AssertNothingLeft(Checkpoint checkpoint) => Assert.Equal(
        (0, 0L, 0),
        (_device.LiveAllocations, _device.LiveBytes, checkpoint.Files.Select(file => file.Source).OfType<LocalFileSource>().Sum(source => source.LiveMappings)));

    private async Task LoadAnyAsync(Random random, int seed)
    {
        var sample = Sample.MakeRandom(seed, longest: random.Next(2) == 0 ? 600 : 60_000);
        using var folder = new TemporaryFolder();
        await using var checkpoint = await sample.OpenFileAsync(folder);
        var isHost = random.Next(3) > 0;
        Device device = isHost ? _device : random.Next(2) == 0
            ? new LateDevice { SlotBytes = random.Next(64, 100_000), Lateness = (Lateness)random.Next(2) }
            : new LateGroup { SlotBytes = random.Next(64, 100_000) }.Device;
        var options = new LoadOptions
        {
            Device = device,
            ReadMode = ReadMode.Mapped,
            DType = random.GetItems<DType?>([null, null, DType.F32, DType.BF16, DType.F64], 1)[0],
            ConvertAllTypes = random.Next(4) == 0,
            Lanes = random.Next(1, 4),
            StagingBytes = random.Next(64, 512) << 10,
            StreamWindowBytes = random.Next(1, 100_000),
            Manifest = random.Next(3) == 0 ? TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint)) : null,
        };
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, options);
        Assert.All(plan.Tensors, tensor => Assert.Equal(isHost && tensor.DType == tensor.Source.DType && tensor.ByteLength > 0, tensor.IsMapped));
        await using (var model = await loader.LoadAsync(plan))
        {
            Assert.All(plan.Tensors, planned => Assert.Equal(sample.Expected(planned), Read(model[planned.Name])));
            Assert.All(plan.Tensors, planned => Assert.Equal(planned.IsMapped, model[planned.Name].IsReadOnly));
        }

        var streamed = 0;
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            using (tensor)
            {
                Assert.Equal(sample.Expected(plan.Tensors.Single(planned => planned.Name == name)), Read(tensor));
                streamed++;
            }
        }

        Assert.Equal((plan.Tensors.Length, 0, 0L), (streamed, device.LiveAllocations, device.LiveBytes));
        AssertNothingLeft(checkpoint);
    }

    private async Task LoadViewsAsync(Random random, int seed)
    {
        var made = ViewSample.Make(seed, ViewGenerator.NextDType(random), random.Next(1, random.Next(3) == 0 ? 300_000 : 400));
        var views = Enumerable.Range(0, random.Next(1, 5)).Select(i => ViewGenerator.Next(random, $"t{i}", made.Elements)).ToList();
        views.Add(views[0] with { Name = "again" });
        using var folder = new TemporaryFolder();
        await using var checkpoint = made.OpenFile(folder, views);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions
        {
            Device = _device,
            ReadMode = ReadMode.Mapped,
            Manifest = random.Next(2) == 0 ? TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint)) : null,
        });
        await using (var model = await loader.LoadAsync(plan))
        {
            Assert.All(checkpoint.Tensors, tensor => Assert.Equal(made.Bytes(tensor), TensorBytes.Read(model[tensor.Name])));
        }

        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            using (tensor)
            {
                Assert.Equal(made.Bytes(checkpoint[name]), TensorBytes.Read(tensor));
            }
        }

        AssertNothingLeft(checkpoint);
    }

    private static byte[] Read(Tensor tensor) =>
        tensor.Device.Kind == DeviceKind.Group ? TensorBytes.ReadEach(tensor, Read)
        : tensor.Device.IsHost ? tensor.AsReadOnlySpan<byte>().ToArray()
        : LateDevice.Read(tensor);

    private sealed class CallingProgress(Action call) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => call();
    }
}
