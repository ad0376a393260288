using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HotModelTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly HotModelBed _bed = new();

    private HotModel Model => _bed.Model;

    public Task InitializeAsync() => Task.CompletedTask;

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public ValueTask DisposeAsync() => _bed.DisposeAsync();

    [Theory]
    [InlineData("model.layers.0", "model.layers.0")]
    [InlineData("model.layers.0.self_attn", "model.layers.0")]
    [InlineData("model.layers.0.self_attn.q_proj", "model.layers.0")]
    [InlineData("model.layers.1.norm.weight", "model.layers.1")]
    [InlineData("lm_head", "lm_head")]
    [InlineData("lm_head.weight", "lm_head")]
    public async Task Lease_NameOfOrBelowALayer_FindsTheLayer(string name, string layer)
    {
        using var lease = await Model.LeaseAsync(name);

        Assert.Equal(layer, lease.Layer);
        Assert.Equal(HotModel.FirstVersion, lease.Version);
    }

    [Theory]
    [InlineData("model.layers.2", "model.layers.0")]
    [InlineData("model.layers.0.self_attn.q_prj", "model.layers.0.self_attn.q_proj")]
    [InlineData("model.layers", "model.layers.0")]
    [InlineData("model", null)]
    [InlineData("", null)]
    public async Task Lease_UnknownName_ThrowsWithTheNearest(string name, string? nearest)
    {
        var exception = await Assert.ThrowsAsync<LayerNotFoundException>(() => Model.LeaseAsync(name).AsTask());

        Assert.Equal(name, exception.Layer);
        Assert.Equal(nearest, exception.Nearest.FirstOrDefault());
        Assert.Contains(nearest is null ? $"no layer '{name}'." : $"no layer '{name}'; the nearest names are '{nearest}'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lease_TensorsOfTheModelItself_AreFoundByTheEmptyNameAndNothingElseIs()
    {
        using var tensor = Gpu.Tensor.FromValues<byte>(DType.U8, new Shape(1), [1]);
        await using var model = new HotModel(new Module(), [new ModelLayer("", [""], [KeyValuePair.Create("weight", tensor)])], (_, _, _, _) => throw new InvalidOperationException(), (_, _, _, _, _) => throw new InvalidOperationException(), [], null);
        using var lease = await model.LeaseAsync("");
        using var byTensor = await model.LeaseAsync("weight");

        Assert.Same(tensor, lease["weight"]);
        await Assert.ThrowsAsync<LayerNotFoundException>(() => model.LeaseAsync("bias").AsTask());
    }

    [Theory]
    [InlineData("layers.0")]
    [InlineData("layers.0.attn")]
    [InlineData("layers.1")]
    [InlineData("layers.1.attn")]
    [InlineData("layers.1.attn.q")]
    [InlineData("layers.1.attn.q.weight")]
    public void Lease_AnyNameOfLayersThatShareMemory_FindsTheOneLayer(string name)
    {
        using var weight = Tensor.FromValues<byte>(DType.U8, new Shape(1), [1]);
        var tensors = new[] { "layers.0.attn.q", "layers.1.attn.q" }.Select(module => KeyValuePair.Create($"{module}.weight", weight));
        var layer = new HotLayer(new ModelLayer("layers.0", ["layers.0.attn.q", "layers.1.attn.q"], tensors), _bed.Time);
        var names = new HotLayerNames([layer]);
        Assert.Same(layer, names.Get(name));
        Assert.Null(names.Find("layers"));
    }

    [Fact]
    public async Task Lease_Tensors_AreReadByFullNameAndByNameBelowTheLayer()
    {
        using var lease = await Model.LeaseAsync(HotModelBed.First);

        Assert.Same(_bed.Layers[0].Tensors["model.layers.0.norm.weight"], lease["norm.weight"]);
        Assert.Same(lease["norm.weight"], lease["model.layers.0.norm.weight"]);
        Assert.Equal(2, lease.Tensors.Count);
        var exception = Assert.Throws<TensorNotFoundException>(() => lease["model.layers.0.norm.wieght"]);
        Assert.Equal("model.layers.0.norm.weight", exception.Nearest[0]);
    }

    [Fact]
    public async Task Lease_AfterItsEnd_ThrowsAndEndsNoOther()
    {
        var lease = await Model.LeaseAsync(HotModelBed.First);
        using var other = await Model.LeaseAsync(HotModelBed.First);
        lease.Dispose();
        lease.Dispose();

        Assert.Throws<ObjectDisposedException>(() => lease.Tensors);
        Assert.Throws<ObjectDisposedException>(() => lease["norm.weight"]);
        Assert.Throws<ObjectDisposedException>(() => lease.EndBehind(new ManualFence()));
        // The other lease still keeps the reload off.
        Assert.Equal(LayerOutcome.Busy, (await ReloadPastAsync()).Layers[0].Outcome);
    }

    [Fact]
    public async Task EndBehind_Fence_EndsTheLeaseForItsHolderAndHoldsReloadsUntilItHasPassed()
    {
        var fence = new ManualFence();
        var lease = await Model.LeaseAsync(HotModelBed.First);
        lease.EndBehind(fence);
        lease.Dispose();
        Assert.Throws<ObjectDisposedException>(() => lease.Tensors);
        Assert.Throws<ObjectDisposedException>(() => lease.EndBehind(fence));

        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        Assert.False(reloading.IsCompleted);
        fence.Pass();

        Assert.True((await reloading).IsWhole);
    }

    [Fact]
    public async Task Lease_OpenLayer_AllocatesTheLeaseOnly()
    {
        const int count = 1000;
        await LeaseAndEndAsync(10);
        var before = GC.GetAllocatedBytesForCurrentThread();
        await LeaseAndEndAsync(count);

        // A header, a method table, a reference and two numbers.
        Assert.Equal(40, (GC.GetAllocatedBytesForCurrentThread() - before) / count);

        // Never waits, and so allocates no state of its own.
        async ValueTask LeaseAndEndAsync(int times)
        {
            for (var i = 0; i < times; i++)
            {
                using var lease = await Model.LeaseAsync(HotModelBed.First);
            }
        }
    }

    [Fact]
    public async Task Reload_Whole_CountsTheVersionOnceForAllLayers()
    {
        Assert.True((await _bed.ReloadAsync()).IsWhole);
        Assert.True((await _bed.ReloadAsync()).IsWhole);

        Assert.Equal(3, Model.Version);
        Assert.All(Model.Layers, layer => Assert.Equal(3, Model.VersionOf(layer.Name)));
        using var lease = await Model.LeaseAsync(HotModelBed.Second);
        Assert.Equal(3, lease.Version);
        Assert.Equal(3, HotModelBed.Value(lease));
    }

    [Fact]
    public async Task Reload_ThatChangesNoLayer_KeepsTheVersion()
    {
        foreach (var layer in Model.Layers)
        {
            _bed.Outcomes[layer.Name] = LayerOutcome.Incomplete;
        }

        Assert.False((await _bed.ReloadAsync()).IsWhole);

        Assert.Equal(HotModel.FirstVersion, Model.Version);
        using var lease = await Model.LeaseModelAsync();
        Assert.Equal(HotModel.FirstVersion, lease.Version);
    }

    [Fact]
    public async Task Reload_LayersThatTheGateIsNotToldOf_HaveTheVersionThatTheReportSays()
    {
        _bed.TellsGate = false;
        await _bed.ReloadAsync();

        using var lease = await Model.LeaseModelAsync();
        Assert.Equal(2, lease.Version);
    }

    [Fact]
    public async Task Reload_LayerThatIsRead_WaitsForItsLeasesAndNoOthers()
    {
        using var other = await Model.LeaseAsync(HotModelBed.Head);
        var lease = await Model.LeaseAsync(HotModelBed.First);
        _bed.Outcomes[HotModelBed.Head] = LayerOutcome.Incomplete;
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        Assert.Equal(1, HotModelBed.Value(lease));
        lease.Dispose();

        var report = await reloading;
        Assert.Equal([HotModelBed.First, HotModelBed.Second], report.NewLayers);
    }

    [Fact]
    public async Task Reload_WhileALayerIsWritten_ItsNewLeasesWaitAndOthersDoNot()
    {
        var copying = new TaskCompletionSource();
        var copied = new TaskCompletionSource();
        _bed.Writing = async (layer, _) =>
        {
            if (layer.Name == HotModelBed.First)
            {
                copying.SetResult();
                await copied.Task;
            }
        };
        var reloading = _bed.ReloadAsync();
        await copying.Task;
        var waiting = Model.LeaseAsync(HotModelBed.First).AsTask();
        using (var other = await Model.LeaseAsync(HotModelBed.Second))
        {
            Assert.Equal(1, other.Version);
        }

        Assert.False(waiting.IsCompleted);
        copied.SetResult();
        using var lease = await waiting;
        Assert.Equal(2, lease.Version);
        Assert.Equal(2, HotModelBed.Value(lease));
        await reloading;
    }

    [Fact]
    public async Task Reload_LayerReadForTooLong_KeepsItsOldWeightsAndIsReported()
    {
        using var lease = await Model.LeaseAsync(HotModelBed.Second);
        var report = await ReloadPastAsync();

        Assert.Equal([LayerOutcome.New, LayerOutcome.Busy, LayerOutcome.New], report.Layers.Select(layer => layer.Outcome));
        Assert.Equal(2, Model.Version);
        Assert.Equal(2, Model.VersionOf(HotModelBed.First));
        Assert.Equal(1, Model.VersionOf("model.layers.1.norm"));
        Assert.Equal(1, HotModelBed.Value(lease));
    }

    [Fact]
    public async Task LeaseModel_LayersOfDifferentVersions_IsRefusedWithBothUntilAReloadOfAll()
    {
        using (await Model.LeaseAsync(HotModelBed.Second))
        {
            await ReloadPastAsync();
        }

        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => Model.LeaseModelAsync().AsTask());
        Assert.Contains("layer 'model.layers.1' version 1", exception.Message, StringComparison.Ordinal);
        Assert.Contains("layers 'model.layers.0', 'lm_head' version 2", exception.Message, StringComparison.Ordinal);

        Assert.True((await _bed.ReloadAsync()).IsWhole);
        using var lease = await Model.LeaseModelAsync();
        Assert.Equal(3, lease.Version);
    }

    [Fact]
    public async Task Reload_DeviceFailsInTheMiddleOfACopy_RefusesLeasesOfThatLayerUntilAReloadSucceeds()
    {
        var copying = new TaskCompletionSource();
        var fails = new TaskCompletionSource();
        _bed.Outcomes[HotModelBed.Second] = LayerOutcome.Torn;
        _bed.Writing = async (layer, _) =>
        {
            if (layer.Name == HotModelBed.Second)
            {
                copying.TrySetResult();
                await fails.Task;
            }
        };
        var reloading = _bed.ReloadAsync();
        await copying.Task;
        var waiting = Model.LeaseAsync(HotModelBed.Second).AsTask();
        fails.SetResult();
        await Assert.ThrowsAsync<ReloadFailedException>(() => reloading);

        Assert.Contains("'model.layers.1'", (await Assert.ThrowsAsync<InvalidOperationException>(() => waiting)).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InvalidOperationException>(() => Model.LeaseAsync(HotModelBed.Second).AsTask());
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => Model.LeaseModelAsync().AsTask());
        Assert.Contains("layer 'model.layers.1'", exception.Message, StringComparison.Ordinal);
        using (var other = await Model.LeaseAsync(HotModelBed.First))
        {
            Assert.Equal(2, other.Version);
        }

        _bed.Outcomes.Clear();
        Assert.True((await _bed.ReloadAsync()).IsWhole);
        using var lease = await Model.LeaseAsync(HotModelBed.Second);
        Assert.Equal(3, HotModelBed.Value(lease));
    }

    [Fact]
    public async Task Reload_TornLayerThatTheGateIsNotToldOf_IsRefusedByTheReport()
    {
        _bed.TellsGate = false;
        _bed.Outcomes[HotModelBed.First] = LayerOutcome.Torn;
        await Assert.ThrowsAsync<ReloadFailedException>(() => _bed.ReloadAsync());

        await Assert.ThrowsAsync<InvalidOperationException>(() => Model.LeaseAsync(HotModelBed.First).AsTask());
    }

    [Fact]
    public async Task Reload_TwoAtOnce_ComeOneAfterTheOther()
    {
        var most = 0;
        _bed.Writing = async (_, _) =>
        {
            most = Math.Max(most, _bed.Running);
            await Task.Yield();
        };
        await Task.WhenAll(_bed.ReloadAsync(), _bed.ReloadAsync(), _bed.ReloadAsync());

        Assert.Equal(1, most);
        Assert.Equal(4, Model.Version);
    }

    [Fact]
    public async Task Reload_CancelledWhileItWaitsForAnother_NeverBegins()
    {
        using var cancellation = new CancellationTokenSource();
        using var lease = await Model.LeaseAsync(HotModelBed.First);
        var first = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        var second = _bed.ReloadAsync(cancellation.Token);
        await cancellation.CancelAsync();

        Assert.Equal(cancellation.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second)).CancellationToken);
        lease.Dispose();
        await first;
        Assert.Equal(1, _bed.Begun);
    }

    [Fact]
    public async Task Reload_CancelledWhileItWaitsForReaders_SaysWhatIsNewAndTheGatesAreOpen()
    {
        using var cancellation = new CancellationTokenSource();
        using var lease = await Model.LeaseAsync(HotModelBed.Second);
        var reloading = _bed.ReloadAsync(cancellation.Token);
        await _bed.Time.WaitForTimersAsync();
        var waiting = Model.LeaseAsync(HotModelBed.Second).AsTask();
        await cancellation.CancelAsync();

        var exception = await Assert.ThrowsAsync<ReloadCanceledException>(() => reloading);
        Assert.Equal([HotModelBed.First], exception.Report.NewLayers);
        (await waiting).Dispose();
        Assert.Equal(2, Model.VersionOf(HotModelBed.First));
        Assert.Equal(1, Model.VersionOf(HotModelBed.Second));
        // The gate of the whole model too: it answers, if only with a refusal.
        await Assert.ThrowsAsync<InvalidOperationException>(() => Model.LeaseModelAsync().AsTask());
    }

    [Fact]
    public async Task Reload_OptionsWithAGate_AreRefused()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.Tiny(), "tiny"));

        await Assert.ThrowsAsync<ArgumentException>("options", () => Model.ReloadAsync(checkpoint, new ReloadOptions { Gate = new OpenGate() }));
    }

    [Fact]
    public void Options_TimeoutsThatNoTimerTakes_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new HotModelOptions { LeaseTimeout = TimeSpan.FromSeconds(-2) });
        Assert.Throws<ArgumentOutOfRangeException>(() => new HotModelOptions { LeaseTimeout = TimeSpan.FromDays(60) });
        Assert.Equal(Timeout.InfiniteTimeSpan, new HotModelOptions { LeaseTimeout = Timeout.InfiniteTimeSpan }.LeaseTimeout);
        Assert.Equal(TimeSpan.FromSeconds(5), HotModelOptions.Default.LeaseTimeout);
    }

    private async Task<ReloadReport> ReloadPastAsync()
    {
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        _bed.Time.Advance(HotModelBed.Timeout);
        return await reloading;
    }

    private sealed class OpenGate : ILayerGate
    {
        public ValueTask<IDisposable?> CloseAsync(ModelLayer layer, CancellationToken cancellationToken) => default;
    }
}
