using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Leases over all layers, leases that wait for each other and for a reload, and the end of a live model.</summary>
public sealed class HotModelWholeTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly HotModelBed _bed = new();

    private HotModel Model => _bed.Model;

    public Task InitializeAsync() => Task.CompletedTask;

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public ValueTask DisposeAsync() => _bed.DisposeAsync();

    [Fact]
    public async Task LeaseModel_Tensors_AreFoundByFullName()
    {
        using var lease = await Model.LeaseModelAsync();

        Assert.Equal(_bed.Layers, lease.Layers);
        Assert.Same(_bed.Layers[2].Tensors["lm_head.weight"], lease["lm_head.weight"]);
        Assert.True(lease.TryGetTensor("model.layers.1.norm.weight", out _));
        Assert.False(lease.TryGetTensor("model.layers.1.norm", out _));
        Assert.Equal("lm_head.weight", Assert.Throws<Formats.TensorNotFoundException>(() => lease["lm_head.weigth"]).Nearest[0]);
    }

    [Fact]
    public async Task LeaseModel_AfterItsEnd_ThrowsAndEndsNoOther()
    {
        var lease = await Model.LeaseModelAsync();
        using var other = await Model.LeaseModelAsync();
        lease.Dispose();
        lease.Dispose();

        Assert.Throws<ObjectDisposedException>(() => lease.Layers);
        Assert.Throws<ObjectDisposedException>(() => lease["lm_head.weight"]);
        Assert.Throws<ObjectDisposedException>(() => lease.EndBehind(new ManualFence()));
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        Assert.False(reloading.IsCompleted);
        other.Dispose();
        Assert.True((await reloading).IsWhole);
    }

    [Fact]
    public async Task LeaseModel_EndedBehindFence_HoldsOffCopiesUntilItHasPassed()
    {
        var fence = new ManualFence();
        (await Model.LeaseModelAsync()).EndBehind(fence);
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        Assert.Equal(1, Model.Version);
        fence.Pass();

        Assert.True((await reloading).IsWhole);
    }

    [Fact]
    public async Task LeaseModel_FromTheFirstCopyToTheReloadsEnd_Waits()
    {
        var last = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();
        _bed.Writing = async (layer, _) =>
        {
            if (layer.Name == HotModelBed.Head)
            {
                last.SetResult();
                await goOn.Task;
            }
        };
        var reloading = _bed.ReloadAsync();
        await last.Task;
        var waiting = Model.LeaseModelAsync().AsTask();
        Assert.False(waiting.IsCompleted);
        goOn.SetResult();

        using var lease = await waiting;
        Assert.Equal(2, lease.Version);
        Assert.True((await reloading).IsWhole);
    }

    [Fact]
    public async Task LeaseModel_HeldForTooLong_LeavesAllLayersOldAfterOneTimeoutNotOneALayer()
    {
        using var lease = await Model.LeaseModelAsync();
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        _bed.Time.Advance(HotModelBed.Timeout);

        Assert.All((await reloading).Layers, layer => Assert.Equal(LayerOutcome.Busy, layer.Outcome));
        using var again = await Model.LeaseModelAsync();
        Assert.Equal(HotModel.FirstVersion, again.Version);
    }

    [Fact]
    public async Task LeaseModel_NothingCopiedSinceALayerWasBusy_IsGivenAgainBeforeTheReloadEnds()
    {
        var before = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();
        using var lease = await Model.LeaseAsync(HotModelBed.First);
        using var second = await Model.LeaseAsync(HotModelBed.Second);
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        var waiting = Model.LeaseModelAsync().AsTask();
        _bed.Time.Advance(HotModelBed.Timeout);

        using (var whole = await waiting)
        {
            Assert.Equal(HotModel.FirstVersion, whole.Version);
        }

        second.Dispose();
        await reloading;
    }

    [Fact]
    public async Task Reader_WithALayersLease_GetsAnothersWhileAReloadWaitsForTheFirst()
    {
        using var first = await Model.LeaseAsync(HotModelBed.First);
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();

        using (await Model.LeaseAsync(HotModelBed.Second))
        {
        }

        first.Dispose();
        Assert.True((await reloading).IsWhole);
    }

    [Fact]
    public async Task Reader_WithALayersLease_AsksForTheSameAgain_GoesOnAfterTheTimeout()
    {
        using var first = await Model.LeaseAsync(HotModelBed.First);
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        var second = Model.LeaseAsync(HotModelBed.First).AsTask();
        Assert.False(second.IsCompleted);
        _bed.Time.Advance(HotModelBed.Timeout);

        using var lease = await second;
        Assert.Equal(first.Version, lease.Version);
        Assert.Equal(LayerOutcome.Busy, (await reloading).Layers[0].Outcome);
    }

    [Fact]
    public async Task Reader_WithALayersLease_AsksForTheWholeModel_GoesOnWhenTheReloadHasGivenIn()
    {
        using var first = await Model.LeaseAsync(HotModelBed.First);
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        var whole = Model.LeaseModelAsync().AsTask();
        Assert.False(whole.IsCompleted);
        _bed.Time.Advance(HotModelBed.Timeout);

        // Given at once if it comes before the copy of the next layer, refused if it comes behind the reload; never left waiting.
        try
        {
            (await whole).Dispose();
        }
        catch (InvalidOperationException exception)
        {
            Assert.Contains("different versions", exception.Message, StringComparison.Ordinal);
        }

        await reloading;
    }

    [Fact]
    public async Task Reader_WithTheWholeModel_GetsLayersWhileAReloadWaitsForIt()
    {
        var whole = await Model.LeaseModelAsync();
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        foreach (var layer in Model.Layers)
        {
            using var lease = await Model.LeaseAsync(layer.Name);
            Assert.Equal(whole.Version, lease.Version);
        }

        whole.Dispose();
        Assert.True((await reloading).IsWhole);
    }

    [Fact]
    public async Task Reader_WithTheWholeModel_AsksForItAgain_GoesOnAfterTheTimeout()
    {
        using var whole = await Model.LeaseModelAsync();
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        var again = Model.LeaseModelAsync().AsTask();
        Assert.False(again.IsCompleted);
        _bed.Time.Advance(HotModelBed.Timeout);

        (await again).Dispose();
        Assert.DoesNotContain((await reloading).Layers, layer => layer.Outcome == LayerOutcome.New);
    }

    [Fact]
    public async Task LeaseModel_Cancelled_LeavesNothingBehind()
    {
        using var cancellation = new CancellationTokenSource();
        using var first = await Model.LeaseAsync(HotModelBed.First);
        var reloading = _bed.ReloadAsync();
        await _bed.Time.WaitForTimersAsync();
        var whole = Model.LeaseModelAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => whole);
        first.Dispose();

        Assert.True((await reloading).IsWhole);
        Assert.True((await _bed.ReloadAsync()).IsWhole);
    }

    [Fact]
    public async Task Dispose_WithoutReaders_FreesAndRefusesEverything()
    {
        await Model.DisposeAsync();
        await Model.DisposeAsync();

        Assert.True(_bed.IsFreed);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Model.LeaseAsync(HotModelBed.First).AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Model.LeaseModelAsync().AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _bed.ReloadAsync());
        Assert.Throws<ObjectDisposedException>(() => Model.WatchAsync("folder"));
    }

    [Fact]
    public async Task Dispose_WithReaders_WaitsForThem()
    {
        var lease = await Model.LeaseAsync(HotModelBed.First);
        var whole = await Model.LeaseModelAsync();
        var disposing = Model.DisposeAsync().AsTask();
        lease.Dispose();
        Assert.False(disposing.IsCompleted);
        Assert.False(_bed.IsFreed);
        whole.Dispose();
        await disposing;

        Assert.True(_bed.IsFreed);
    }

    [Fact]
    public async Task Dispose_ReaderThatStays_EndsAfterTheTimeoutAndFreesBehindTheLastReader()
    {
        var lease = await Model.LeaseAsync(HotModelBed.First);
        var fence = new ManualFence();
        var disposing = Model.DisposeAsync().AsTask();
        await _bed.Time.WaitForTimersAsync();
        _bed.Time.Advance(HotModelBed.Timeout);
        await disposing;
        Assert.False(_bed.IsFreed);
        Assert.Equal(1, HotModelBed.Value(lease));

        lease.EndBehind(fence);
        Assert.False(_bed.IsFreed);
        fence.Pass();
        Assert.True(SpinWait.SpinUntil(() => _bed.IsFreed, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Dispose_AgainWhileTheFirstWaits_EndsWithTheFirst()
    {
        var lease = await Model.LeaseAsync(HotModelBed.First);
        var (first, second) = (Model.DisposeAsync().AsTask(), Model.DisposeAsync().AsTask());
        await _bed.Time.WaitForTimersAsync();
        Assert.False(second.IsCompleted);
        Assert.False(_bed.IsFreed);

        lease.Dispose();
        await Task.WhenAll(first, second);
        Assert.True(_bed.IsFreed);
    }

    [Fact]
    public async Task Dispose_FenceFailsBehindTheTimeout_IsFreedAndSaidByTheNextCall()
    {
        var fence = new ManualFence();
        (await Model.LeaseAsync(HotModelBed.First)).EndBehind(fence);
        var ending = Model.DisposeAsync().AsTask();
        await _bed.Time.WaitForTimersAsync();
        _bed.Time.Advance(HotModelBed.Timeout);
        await ending;
        Assert.False(_bed.IsFreed);

        fence.Fail(new IOException("lost"));
        Assert.Equal("lost", (await Assert.ThrowsAsync<IOException>(() => Model.DisposeAsync().AsTask())).Message);
        Assert.True(_bed.IsFreed);
    }

    [Fact]
    public async Task Dispose_RunningReload_IsCancelledAndThoseWhoWaitAreRefused()
    {
        var copying = new TaskCompletionSource();
        _bed.Writing = (_, token) =>
        {
            copying.SetResult();
            return Task.Delay(Timeout.Infinite, token);
        };
        var reloading = _bed.ReloadAsync();
        await copying.Task;
        var layer = Model.LeaseAsync(HotModelBed.First).AsTask();
        var whole = Model.LeaseModelAsync().AsTask();
        var next = _bed.ReloadAsync();
        await Model.DisposeAsync();

        await Assert.ThrowsAsync<ReloadCanceledException>(() => reloading);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => layer);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => whole);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => next);
        Assert.True(_bed.IsFreed);
        Assert.Equal(1, _bed.Begun);
    }
}
