using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What a rank has saved in a live model, in the memory that was there.</summary>
[Trait("Area", "Reload")]
public sealed class StateReloadTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("LlamaForCausalLM", 1)]
    [InlineData("MixtralForCausalLM", 2)]
    [InlineData("GemmaForCausalLM", 2)]
    public async Task Reload_WhatARankHasSaved_IsWhatItHadInTheSameMemory(string architecture, int world)
    {
        await using var first = await RanksSample.SampleOf(architecture, 1).OpenAsync();
        await using var second = await RanksSample.SampleOf(architecture, 2).OpenAsync();
        var rank = world - 1;
        Dictionary<string, byte[]> expected = [];
        for (var i = 0; i < world; i++)
        {
            using var other = await LiveSample.LoadAsync(architecture, second, world: world, rank: i);
            expected = other.Read();
            _ = await StateSample.Loader.SaveModelAsync(
                other.Model, _folder["out"], new ShardedStateSaveOptions { Parallel = new TensorParallel(world, i), SaveId = "s", IsProcessed = true, ModelDType = DType.BF16, MaximumPartBytes = 100_000 });
        }

        await using var state = await ShardedState.OpenAsync(_folder["out"], rank);
        var device = new LateDevice { Lateness = Lateness.WhenWaitedFor };
        using (var live = await LiveSample.LoadAsync(architecture, first, device, world: world, rank: rank))
        {
            var (before, places, model) = (live.Read(), live.Places(), device.LiveBytes);
            var progress = new RecordedProgress();
            var report = await live.Reloader.ReloadAsync(state, progress: progress);
            Assert.True(report.IsWhole);
            Assert.Empty(report.Unexpected);
            Assert.Equal(state.Tensors.Where(tensor => tensor.IsStored).Sum(tensor => tensor.DType.ByteCount(tensor.Shape.ElementCount)), report.BytesRead);
            Assert.Equal(expected, live.Read());
            Assert.Equal(places, live.Places());
            Assert.Equal(model, device.LiveBytes);
            Assert.InRange(device.PeakBytes, model + 1, model + live.Reloader.Layers.Max(layer => layer.ByteLength));
            // And back through loaders and methods.
            Assert.True((await live.Reloader.ReloadAsync(first)).IsWhole);
            Assert.Equal(before, live.Read());
        }

        Assert.Equal((0, 0), (device.LiveAllocations, device.Rented));
        Assert.Empty(device.Violations);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reload_NamesAreMissingAndLeftOver_TheLayerKeepsItsOldOnesAndBothAreReported(bool allOrNothing)
    {
        await using var state = await SaveAsync(("layers.0.a", 2, DType.F32, [4]), ("layers.0.c", 2, DType.F32, [4]), ("layers.1.a", 2, DType.F32, [4]), ("z", 2, DType.U8, [3]));
        using var live = new Live(("layers.0.a", 1, DType.F32, [4]), ("layers.0.b", 1, DType.F32, [4]), ("layers.1.a", 1, DType.F32, [4]));
        var before = live.Read();
        var report = await live.Reloader.ReloadAsync(state, new ReloadOptions { AllOrNothing = allOrNothing });
        Assert.Equal([LayerOutcome.Incomplete, allOrNothing ? LayerOutcome.NotReached : LayerOutcome.New], report.Layers.Select(layer => layer.Outcome));
        Assert.Equal("the state has no 'layers.0.b'", report.Layers[0].Reason);
        Assert.Equal(["layers.0.c", "z"], report.Unexpected.Order(StringComparer.Ordinal));
        AssertChanged(before, live.Read(), allOrNothing ? [] : ["layers.1.a"]);
    }

    [Theory]
    [InlineData(DType.F32, 5L)]
    [InlineData(DType.I32, 4L)]
    public async Task Reload_OtherShapesOrTypes_TheLayerKeepsItsOldOnesAndBothAreNamed(DType dtype, long length)
    {
        await using var state = await SaveAsync(("layers.0.a", 2, dtype, [length]), ("layers.0.b", 2, DType.F16, [2]), ("layers.1.a", 2, DType.F32, [4]));
        using var live = new Live(("layers.0.a", 1, DType.F32, [4]), ("layers.0.b", 1, DType.F16, [2]), ("layers.1.a", 1, DType.F32, [4]));
        var before = live.Read();
        var report = await live.Reloader.ReloadAsync(state);
        Assert.Equal([LayerOutcome.Failed, LayerOutcome.New], report.Layers.Select(layer => layer.Outcome));
        Assert.Contains($"'layers.0.a' is F32 {new Shape(4)} in the live layer and {dtype.Name} {new Shape(length)} in the state", report.Layers[0].Reason, StringComparison.Ordinal);
        AssertChanged(before, live.Read(), ["layers.1.a"]);
    }

    [Fact]
    public async Task Reload_AllOrNothing_AndAllIsThere_AllIsNew()
    {
        await using var state = await SaveAsync(("layers.0.a", 2, DType.F32, [4]), ("layers.1.a", 2, DType.F32, [4]));
        using var live = new Live(("layers.0.a", 1, DType.F32, [4]), ("layers.1.a", 1, DType.F32, [4]));
        var before = live.Read();
        var gate = new RecordingGate();
        Assert.True((await live.Reloader.ReloadAsync(state, new ReloadOptions { AllOrNothing = true, Gate = gate })).IsWhole);
        AssertChanged(before, live.Read(), ["layers.0.a", "layers.1.a"]);
        Assert.Equal(["close layers.0", "close layers.1"], gate.Steps.Take(2));
    }

    [Fact]
    public async Task Reload_EmptyTensors_AreNotExpectedOfTheState()
    {
        await using var state = await SaveAsync(("layers.0.a", 2, DType.F32, [4]), ("layers.0.none", 2, DType.F32, [0, 4]));
        using var live = new Live(("layers.0.a", 1, DType.F32, [4]), ("layers.0.none", 1, DType.F32, [0, 4]));
        var before = live.Read();
        var report = await live.Reloader.ReloadAsync(state);
        Assert.True(report.IsWhole, report.Layers[0].Reason);
        AssertChanged(before, live.Read(), ["layers.0.a"]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reload_BytesAreNotThoseThatWereSaved_IsFoundUnlessNobodyAsks(bool verify)
    {
        await (await SaveAsync(("layers.0.a", 2, DType.F32, [4]), ("layers.1.a", 2, DType.F32, [4]))).DisposeAsync();
        var file = _folder["state/model-rank-0-part-0.safetensors"];
        var bytes = await File.ReadAllBytesAsync(file);
        // The last tensor's.
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(file, bytes);
        await using var state = await ShardedState.OpenAsync(_folder["state"], 0);
        using var live = new Live(("layers.0.a", 1, DType.F32, [4]), ("layers.1.a", 1, DType.F32, [4]));
        var before = live.Read();
        if (verify)
        {
            var exception = await Assert.ThrowsAsync<ReloadFailedException>(() => live.Reloader.ReloadAsync(state));
            Assert.IsType<ManifestMismatchException>(exception.InnerException);
            Assert.Equal(["layers.0"], exception.Report.NewLayers);
            AssertChanged(before, live.Read(), ["layers.0.a"]);
        }
        else
        {
            Assert.True((await live.Reloader.ReloadAsync(state, verify: false)).IsWhole);
            Assert.Equal(bytes[^16..], live.Read()["layers.1.a"]);
        }
    }

    [Fact]
    public async Task Reload_ATensorOfItsOwnUnderAFurtherNameOfALiveOne_IsReported()
    {
        await using var state = await SaveAsync(("a.w", 2, DType.F32, [4]), ("b.w", 2, DType.F32, [4]));
        using var model = new Module();
        model.Register("b", model.Register("a", new Module())).Register("w", new Parameter(DType.F32, new Shape(4)));
        using var reloader = ModelReloader.Capture(model, DType.F32);
        model.Children["a"].Parameters["w"].SetData(Filled("a.w", 1, DType.F32, [4]));
        reloader.Attach();
        var report = await reloader.ReloadAsync(state);
        Assert.Equal(["b.w"], report.Unexpected.ToArray());
        Assert.Equal(Content("a.w", 2, 16), StateSample.Bytes(model)["a.w"]);
    }

    [Fact]
    public async Task Watch_AFolderOfRanks_IsReloadedWhenTheLastRankHasSaved()
    {
        const int rank = 1;
        var (target, time) = (_folder["watched"], new ManualTime());
        await VersionedState.SaveAsync(target, 1);
        await using var hot = await VersionedState.LiveAsync(target, rank, new HostDevice(), new HotModelOptions { TimeProvider = time });
        var places = hot.Layers.SelectMany(layer => layer.Tensors.Values).Select(tensor => (tensor.Memory, tensor.ByteOffset)).ToArray();
        await using var reloads = hot.WatchAsync(target).GetAsyncEnumerator();
        var next = reloads.MoveNextAsync().AsTask();
        for (var version = 2; version < 4; version++)
        {
            await VersionedState.SaveAsync(target, version, 1, $"v{version}");
            await StepAsync(3);
            Assert.Equal(version - 1, VersionedState.VersionOf(hot, rank));
            await VersionedState.SaveAsync(target, version, 0, $"v{version}");
            await StepAsync(1);
            await time.WaitForTimersAsync();
            time.Advance(TimeSpan.FromSeconds(1));
            Assert.True(await next.WaitAsync(TimeSpan.FromSeconds(30)));
            Assert.True(reloads.Current.IsWhole, reloads.Current.ToString());
            Assert.Equal((target, version), (reloads.Current.Folder, VersionedState.VersionOf(hot, rank)));
            Assert.Equal(hot.Version, reloads.Current.Version);
            next = reloads.MoveNextAsync().AsTask();
        }

        Assert.Equal(places, hot.Layers.SelectMany(layer => layer.Tensors.Values).Select(tensor => (tensor.Memory, tensor.ByteOffset)));
        // Of another rank a part is gone: nobody knows what state that is.
        File.Delete(Path.Combine(target, "model-rank-0-part-0.safetensors"));
        await StepAsync(4);
        Assert.False(next.IsCompleted);
        await hot.DisposeAsync();
        Assert.False(await next.WaitAsync(TimeSpan.FromSeconds(30)));

        async Task StepAsync(int looks)
        {
            for (var i = 0; i < looks; i++)
            {
                await time.StepAsync(TimeSpan.FromSeconds(1));
            }
        }
    }

    [Fact]
    public async Task Reload_ByThePathOfAFolderThatIsNoState_ThrowsAndKeepsWhatIsThere()
    {
        await VersionedState.SaveAsync(_folder["state"], 1);
        await using var hot = await VersionedState.LiveAsync(_folder["state"], 0, new HostDevice());
        var version = hot.Version;
        _folder.Write("plain/model.safetensors", SafetensorsBuilder.Tiny());
        await Assert.ThrowsAnyAsync<CheckpointException>(() => hot.ReloadAsync(_folder["plain"]));
        Assert.Equal((version, 1), (hot.Version, VersionedState.VersionOf(hot, 0)));
        await VersionedState.SaveAsync(_folder["state"], 2);
        Assert.True((await hot.ReloadAsync(_folder["state"])).IsWhole);
        Assert.Equal((version + 1, 2), (hot.Version, VersionedState.VersionOf(hot, 0)));
    }

    private static void AssertChanged(Dictionary<string, byte[]> before, Dictionary<string, byte[]> now, string[] names)
    {
        Assert.Equal(names, now.Keys.Where(name => !now[name].AsSpan().SequenceEqual(before[name])).Order(StringComparer.Ordinal));
        Assert.All(names, name => Assert.Equal(Content(name, 2, now[name].Length), now[name]));
    }

    // What a seed makes of a name.
    private static byte[] Content(string name, int seed, int length)
    {
        var content = new byte[length];
        new Random(name.Aggregate(seed, (sum, letter) => unchecked((sum * 31) + letter))).NextBytes(content);
        return content;
    }

    private static Tensor Filled(string name, int seed, DType dtype, long[] shape)
    {
        var size = new Shape(shape);
        return Tensor.FromValues<byte>(dtype, size, Content(name, seed, (int)dtype.ByteCount(size.ElementCount)));
    }

    private async Task<ShardedState> SaveAsync(params (string Name, int Seed, DType DType, long[] Shape)[] tensors)
    {
        using var model = StateSample.Model(tensors.Select(tensor => (tensor.Name, Filled(tensor.Name, tensor.Seed, tensor.DType, tensor.Shape))));
        _ = await StateSample.Loader.SaveModelAsync(model, _folder["state"]);
        return await ShardedState.OpenAsync(_folder["state"], 0);
    }

    private sealed class Live : IDisposable
    {
        private readonly Module _model;

        public Live(params (string Name, int Seed, DType DType, long[] Shape)[] tensors)
        {
            using var like = StateSample.Model(tensors.Select(tensor => (tensor.Name, Filled(tensor.Name, tensor.Seed, tensor.DType, tensor.Shape))));
            _model = StateSample.Fresh(like);
            Reloader = ModelReloader.Capture(_model, DType.F32);
            foreach (var (name, parameter) in _model.NamedParameters())
            {
                var (_, seed, dtype, shape) = tensors.First(tensor => tensor.Name == name);
                parameter.SetData(Filled(name, seed, dtype, shape));
            }

            Reloader.Attach();
        }

        public ModelReloader Reloader { get; }

        public Dictionary<string, byte[]> Read() => StateSample.Bytes(_model);

        public void Dispose()
        {
            Reloader.Dispose();
            _model.Dispose();
        }
    }
}
