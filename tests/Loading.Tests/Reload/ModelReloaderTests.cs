using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>New weights in a live model: what a fresh load of them gives, in the memory that was there.</summary>
[Trait("Area", "Reload")]
public sealed class ModelReloaderTests
{
    public static TheoryData<string, int> Models => new()
    {
        { "LlamaForCausalLM", 1 },
        { "LlamaForCausalLM", 4 },
        { "MixtralForCausalLM", 2 },
        { "Qwen3ForCausalLM", 1 },
        { "GemmaForCausalLM", 1 },
        { "Phi3ForCausalLM", 2 },
        { "GPT2LMHeadModel", 1 },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public async Task Reload_ACheckpoint_IsWhatAFreshLoadGivesInTheSameMemory(string architecture, int world)
    {
        await using var first = await RanksSample.SampleOf(architecture, 1).OpenAsync();
        await using var second = await RanksSample.SampleOf(architecture, 2).OpenAsync();
        var device = new HostDevice();
        using (var live = await LiveSample.LoadAsync(architecture, first, device, world: world, rank: world - 1))
        {
            var (before, places, allocations) = (live.Read(), live.Places(), device.LiveAllocations);
            var report = await live.Reloader.ReloadAsync(second);
            Assert.True(report.IsWhole);
            Assert.Equal(live.Reloader.Layers, report.Layers.Select(layer => layer.Layer));
            Assert.Equal(await live.ExpectedAsync(second), live.Read());
            Assert.NotEqual(before, live.Read());
            Assert.Equal(places, live.Places());
            Assert.Equal(allocations, device.LiveAllocations);
            // And back, by the second use of what was captured.
            await live.Reloader.ReloadAsync(first);
            Assert.Equal(before, live.Read());
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [LinuxFact]
    public async Task Reload_OnTheHost_KeepsThePagesOfALayerForTheNextAndNoneInTheEnd()
    {
        var device = new HostDevice();
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device);
        await using var second = await RanksSample.SampleOf("LlamaForCausalLM", 2).OpenAsync();
        var kept = new List<bool>();
        var gate = new RecordingGate
        {
            BeforeClosing = _ =>
            {
                // Whatever is freed between two layers is kept for the next.
                device.Allocate(1 << 20).Dispose();
                kept.Add(device.KeptBytes > 0);
                return Task.CompletedTask;
            },
        };
        Assert.True((await live.Reloader.ReloadAsync(second, new ReloadOptions { Gate = gate })).IsWhole);
        Assert.Equal(Enumerable.Repeat(true, live.Reloader.Layers.Count), kept);
        Assert.Equal((0, 0), (device.KeptBytes, device.MaximumKeptBytes));
        Assert.Equal(await live.ExpectedAsync(second), live.Read());
    }

    [Theory]
    [InlineData(Lateness.Soon)]
    [InlineData(Lateness.WhenWaitedFor)]
    public async Task Reload_OnADeviceThatWorksLate_TakesTheModelAndItsLargestLayer(Lateness lateness)
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample.SampleOf("LlamaForCausalLM", 2).OpenAsync();
        var device = new LateDevice { Lateness = lateness };
        using (var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device))
        {
            var model = device.LiveBytes;
            Assert.Equal(model, device.PeakBytes);
            await live.Reloader.ReloadAsync(second);
            Assert.Equal(await live.ExpectedAsync(second), live.Read());
            Assert.InRange(device.PeakBytes, model + 1, model + live.Reloader.Layers.Max(layer => layer.ByteLength));
            Assert.Equal(model, device.LiveBytes);
        }

        Assert.Equal((0, 0), (device.LiveAllocations, device.Rented));
        Assert.Empty(device.Violations);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reload_WeightsThatAreProcessed_GoThroughTheMethodAgain(bool allOrNothing)
    {
        // Finite: infinite values have no scale.
        await using var first = await RanksSample.FiniteOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample.FiniteOf("LlamaForCausalLM", 2).OpenAsync();
        var device = new HostDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device, "fp8");
        Assert.Contains(live.Model.NamedParameters(), entry => entry.Parameter.DType == DType.F8_E4M3);
        var (places, bytes) = (live.Places(), device.LiveBytes);
        Assert.True((await live.Reloader.ReloadAsync(second, new ReloadOptions { AllOrNothing = allOrNothing })).IsWhole);
        Assert.Equal(await live.ExpectedAsync(second), live.Read());
        Assert.Equal(places, live.Places());
        Assert.Equal(bytes, device.LiveBytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reload_WeightsThatAreProcessed_TakeTheLayerAsItIsLoadedAndAsItIsProcessed(bool allOrNothing)
    {
        await using var first = await RanksSample.FiniteOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample.FiniteOf("LlamaForCausalLM", 2).OpenAsync();
        var device = new LateDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device, "fp8");
        var model = device.LiveBytes;
        device.ForgetPeak();
        Assert.True((await live.Reloader.ReloadAsync(second, new ReloadOptions { AllOrNothing = allOrNothing })).IsWhole);
        // BF16 as it is loaded, at most that in F8 and scales, and 16 MiB elements of F32 at a time, here all of the largest weight and its reciprocal scale.
        var layer = live.Reloader.Layers.MaxBy(layer => layer.ByteLength)!;
        var loaded = layer.Tensors.Values.Sum(tensor => tensor.ElementCount * 2);
        var scratch = layer.Tensors.Values.Max(tensor => tensor.ElementCount) * 4;
        Assert.InRange(device.PeakBytes - model, 1, loaded + layer.ByteLength + scratch);
        Assert.Equal(model, device.LiveBytes);
        Assert.Equal(await live.ExpectedAsync(second), live.Read());
    }

    [Fact]
    public void Layers_AreTheElementsOfListsAndTheOtherModulesWithTensors()
    {
        Assert.Equal("model.layers.12", LiveLayers.LayerOf("model.layers.12.mlp.experts.3.w1"));
        Assert.Equal("model.layers.12", LiveLayers.LayerOf("model.layers.12"));
        Assert.Equal("model.layer2.norm", LiveLayers.LayerOf("model.layer2.norm"));
        Assert.Equal("0", LiveLayers.LayerOf("0.weight"));
        Assert.Equal("", LiveLayers.LayerOf(""));
    }

    [Fact]
    public async Task Layers_ModulesThatShareAParameterOrMemory_AreOne()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first);
        Assert.Equal(["model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm", "lm_head"], live.Reloader.Layers.Select(layer => layer.Name));
        using var tied = new Module();
        var embedding = tied.Register("embedding", new Module());
        var shared = embedding.Register("weight", new Parameter(DType.F32, new Shape(4)));
        tied.Register("between", new Module()).Register("weight", new Parameter(DType.F32, new Shape(2)));
        tied.Register("head", new Module()).Register("weight", shared);
        using var reloader = ModelReloader.Capture(tied, DType.F32);
        foreach (var (_, parameter) in tied.NamedParameters())
        {
            parameter.SetData(Tensor.Empty(DType.F32, parameter.Shape));
        }

        using var view = shared.Data.Narrow(0, 1, 2);
        tied.Register("viewer", new Module()).Register("buffer", view.View(2));
        Assert.Equal(["embedding", "between"], reloader.Attach().Select(layer => layer.Name));
        Assert.Equal(["embedding", "head", "viewer"], reloader.Layers[0].Modules.ToArray());
        Assert.Equal(["embedding.weight", "head.weight", "viewer.buffer"], reloader.Layers[0].Tensors.Keys.Order(StringComparer.Ordinal));

        // One tensor of the file fills what both names see.
        var sample = Sample.Make(3, ("embedding.weight", DType.F32, [4]), ("between.weight", DType.F32, [2]));
        await using var checkpoint = await sample.OpenAsync();
        var report = await reloader.ReloadAsync(checkpoint);
        Assert.True(report.IsWhole);
        Assert.Equal(sample.Tensors["embedding.weight"], tied.Children["head"].Parameters["weight"].Data.AsSpan<byte>().ToArray());
        Assert.Same(shared, tied.Children["head"].Parameters["weight"]);
        Assert.Same(shared, embedding.Parameters["weight"]);
    }

    [Fact]
    public async Task Reload_WeightsAreMissingAndLeftOver_TheLayerKeepsItsOldOnesAndBothAreReported()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample
            .SampleOf("LlamaForCausalLM", 2, name => name != "model.layers.1.self_attn.k_proj.weight", ("model.stranger", DType.F32, [3])).OpenAsync();
        await using var whole = await RanksSample.SampleOf("LlamaForCausalLM", 2).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first);
        var before = live.Read();
        var warnings = new RecordedWarnings();
        var report = await live.Reloader.ReloadAsync(second, new ReloadOptions { Warnings = warnings.ToLog() });
        var kept = Assert.Single(report.Layers, layer => layer.Outcome != LayerOutcome.New);
        Assert.Equal(("model.layers.1", LayerOutcome.Incomplete), (kept.Layer.Name, kept.Outcome));
        Assert.Contains("only 98304 of the 131072 elements of parameter 'model.layers.1.self_attn.qkv_proj.weight'", kept.Reason, StringComparison.Ordinal);
        Assert.Equal(["model.stranger"], report.Unexpected.ToArray());
        Assert.Equal(2, warnings.Texts.Count);
        foreach (var (name, bytes) in live.Read())
        {
            if (name.StartsWith("model.layers.1.", StringComparison.Ordinal))
            {
                Assert.Equal(before[name], bytes);
            }
            else
            {
                Assert.NotEqual(before[name], bytes);
            }
        }
    }

    [Fact]
    public async Task Reload_AllOrNothing_AndOneLayerIsNotWhole_NothingChanges()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample.SampleOf("LlamaForCausalLM", 2, name => name != "lm_head.weight").OpenAsync();
        var device = new HostDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device);
        var (before, bytes) = (live.Read(), device.LiveBytes);
        var report = await live.Reloader.ReloadAsync(second, new ReloadOptions { AllOrNothing = true });
        Assert.Empty(report.NewLayers);
        Assert.Equal(
            [LayerOutcome.NotReached, LayerOutcome.NotReached, LayerOutcome.NotReached, LayerOutcome.NotReached, LayerOutcome.Incomplete], report.Layers.Select(layer => layer.Outcome));
        Assert.Equal(before, live.Read());
        Assert.Equal(bytes, device.LiveBytes);
    }

    [Fact]
    public async Task Reload_OtherShapes_IsRefusedBeforeAnythingChanges()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample
            .SampleOf("LlamaForCausalLM", 2, name => name != "lm_head.weight", ("lm_head.weight", DType.F16, [100, 255])).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first);
        var before = live.Read();
        var exception = await Assert.ThrowsAsync<ReloadFailedException>(() => live.Reloader.ReloadAsync(second));
        Assert.Contains("lm_head.weight", Assert.IsType<ModelMismatchException>(exception.InnerException).Message, StringComparison.Ordinal);
        Assert.Contains("No layer is new", exception.Message, StringComparison.Ordinal);
        Assert.All(exception.Report.Layers, layer => Assert.Equal(LayerOutcome.NotReached, layer.Outcome));
        Assert.Equal(before, live.Read());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task Reload_Cancelled_SaysWhichLayersAreNewAndEachIsWhole(int closings)
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample.SampleOf("LlamaForCausalLM", 2).OpenAsync();
        var device = new HostDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device);
        var (before, after, bytes) = (live.Read(), await live.ExpectedAsync(second), device.LiveBytes);
        using var stop = new CancellationTokenSource();
        var gate = new RecordingGate { BeforeClosing = number => number == closings ? stop.CancelAsync() : Task.CompletedTask };
        var exception = await Assert.ThrowsAsync<ReloadCanceledException>(() => live.Reloader.ReloadAsync(second, new ReloadOptions { Gate = gate }, null, stop.Token));
        Assert.Equal(stop.Token, exception.CancellationToken);
        Assert.Equal(closings - 1, exception.Report.NewLayers.Count());
        Assert.Equal(live.Reloader.Layers.Take(closings - 1).Select(layer => layer.Name), exception.Report.NewLayers);
        foreach (var (layer, i) in live.Reloader.Layers.Select((layer, i) => (layer, i)))
        {
            Assert.All(layer.Tensors, tensor => Assert.Equal((i < closings - 1 ? after : before)[tensor.Key], LateDevice.Read(tensor.Value)));
        }

        Assert.Equal(bytes, device.LiveBytes);
    }

    [Fact]
    public async Task Reload_AReadFails_SaysWhichLayersAreNewAndFreesTheRest()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        ActingSource? source = null;
        await using var second = await RanksSample.SampleOf("LlamaForCausalLM", 2).OpenAsync(inner => source = new ActingSource(inner));
        var device = new HostDevice();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first, device);
        var bytes = device.LiveBytes;
        source!.Arm(4, () => throw new IOException("the disk is gone"));
        var exception = await Assert.ThrowsAsync<ReloadFailedException>(() => live.Reloader.ReloadAsync(second));
        Assert.Contains("the disk is gone", exception.InnerException!.Message, StringComparison.Ordinal);
        Assert.Contains(exception.Report.Layers, layer => layer.Outcome == LayerOutcome.Failed);
        Assert.Equal(bytes, device.LiveBytes);
        Assert.True((await live.Reloader.ReloadAsync(second)).IsWhole);
        Assert.Equal(await live.ExpectedAsync(second), live.Read());
    }

    [Fact]
    public async Task Reload_ALayerIsInUse_ItKeepsItsOldWeightsAndTheOthersAreNew()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        await using var second = await RanksSample.SampleOf("LlamaForCausalLM", 2).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first);
        var (before, after) = (live.Read(), await live.ExpectedAsync(second));
        var gate = new RecordingGate { Busy = "model.layers.0" };
        var report = await live.Reloader.ReloadAsync(second, new ReloadOptions { Gate = gate });
        var kept = Assert.Single(report.Layers, layer => layer.Outcome != LayerOutcome.New);
        Assert.Equal((LayerOutcome.Busy, "model.layers.0"), (kept.Outcome, kept.Layer.Name));
        Assert.All(live.Read(), entry => Assert.Equal((entry.Key.StartsWith("model.layers.0.", StringComparison.Ordinal) ? before : after)[entry.Key], entry.Value));
        Assert.Equal(
            [
                "close model.embed_tokens", "begin model.embed_tokens", "end model.embed_tokens", "open model.embed_tokens",
                "close model.layers.0",
                "close model.layers.1", "begin model.layers.1", "end model.layers.1", "open model.layers.1",
            ],
            gate.Steps.Take(9));

        // With all or nothing the gates are closed together, and nothing is written where one is not.
        var busy = new RecordingGate { Busy = "model.norm" };
        await using var third = await RanksSample.SampleOf("LlamaForCausalLM", 3).OpenAsync();
        before = live.Read();
        report = await live.Reloader.ReloadAsync(third, new ReloadOptions { Gate = busy, AllOrNothing = true });
        Assert.Empty(report.NewLayers);
        Assert.Equal(before, live.Read());
        Assert.Equal(
            ["close model.embed_tokens", "close model.layers.0", "close model.layers.1", "close model.norm", "open model.embed_tokens", "open model.layers.0", "open model.layers.1"],
            busy.Steps);
        Assert.True((await live.Reloader.ReloadAsync(third, new ReloadOptions { Gate = new RecordingGate(), AllOrNothing = true })).IsWhole);
        Assert.Equal(await live.ExpectedAsync(third), live.Read());
    }

    [Fact]
    public async Task Reload_TheDeviceFailsInTheMiddleOfALayer_ItIsTornAndSaidToBe()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first);
        await using var second = await RanksSample.SampleOf("LlamaForCausalLM", 2).OpenAsync();
        // A copy into memory that is gone fails as one on a device that is gone does.
        Assert.True(live.Model.TryGetParameter("model.layers.0.mlp.down_proj.weight", out var gone));
        gone.Data.Dispose();
        var gate = new RecordingGate();
        var exception = await Assert.ThrowsAsync<ReloadFailedException>(() => live.Reloader.ReloadAsync(second, new ReloadOptions { Gate = gate }));
        var torn = Assert.Single(exception.Report.Layers, layer => layer.Outcome == LayerOutcome.Torn);
        Assert.Equal("model.layers.0", torn.Layer.Name);
        Assert.Equal(["model.embed_tokens"], exception.Report.NewLayers);
        Assert.Contains("what 'model.layers.0' has now is not known", exception.Message, StringComparison.Ordinal);
        Assert.Equal(["close model.layers.0", "begin model.layers.0", "open model.layers.0"], gate.Steps.TakeLast(3));
    }

    [Fact]
    public async Task Reload_SecondWhileOneIsUnderWay_IsRefused()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first);
        InvalidOperationException? refused = null;
        var gate = new RecordingGate
        {
            BeforeClosing = async _ => refused ??= await Assert.ThrowsAsync<InvalidOperationException>(() => live.Reloader.ReloadAsync(first)),
        };
        await live.Reloader.ReloadAsync(first, new ReloadOptions { Gate = gate });
        Assert.Contains("one reload at a time", refused!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Capture_AModelThatHasStorage_AndAttach_OneThatHasNone_AreRefused()
    {
        await using var first = await RanksSample.SampleOf("LlamaForCausalLM", 1).OpenAsync();
        using var live = await LiveSample.LoadAsync("LlamaForCausalLM", first);
        Assert.Contains("captured before its first load", Assert.Throws<InvalidOperationException>(() => ModelReloader.Capture(live.Model, DType.BF16)).Message, StringComparison.Ordinal);
        using var meta = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
        using var reloader = ModelReloader.Capture(meta, DType.F32);
        Assert.Throws<InvalidOperationException>(() => reloader.Layers);
        Assert.Contains("has no storage", Assert.Throws<InvalidOperationException>(() => reloader.Attach()).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InvalidOperationException>(() => reloader.ReloadAsync(first));
        Assert.Contains("known already", Assert.Throws<InvalidOperationException>(() => live.Reloader.Attach()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reload_TensorsThatAreSkippedAndBuffers_StayWhatTheyAre()
    {
        using var model = new Module();
        model.Register("weight", new Parameter(DType.F32, new Shape(4)));
        var frequencies = model.Register("inv_freq", Tensor.FromValues<float>(DType.F32, new Shape(2), [1.5f, 2.5f]));
        var map = model.Register("expert_mask", Tensor.FromValues<float>(DType.F32, new Shape(1), [7f]));
        using var reloader = ModelReloader.Capture(model, DType.F32);
        var sample = Sample.Make(1, ("weight", DType.F32, [4]));
        await using var checkpoint = await sample.OpenAsync();
        model.Parameters["weight"].SetData(Tensor.Empty(DType.F32, new Shape(4)));
        model.Parameters["weight"].Data.Fill(0f);
        reloader.Attach();
        Assert.True((await reloader.ReloadAsync(checkpoint)).IsWhole);
        Assert.Equal(sample.Tensors["weight"], model.Parameters["weight"].Data.AsSpan<byte>().ToArray());
        Assert.Same(frequencies, model.Buffers["inv_freq"]);
        Assert.Same(map, model.Buffers["expert_mask"]);
        Assert.Equal([1.5f, 2.5f], frequencies.AsSpan<float>().ToArray());
        Assert.Equal([7f], map.AsSpan<float>().ToArray());
    }
}
