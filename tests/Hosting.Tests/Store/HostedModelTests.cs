using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

public sealed class HostedModelTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly ScriptedLoader _loader = new();
    private readonly StatusFeed _feed = new();
    private readonly SemaphoreSlim _turns = new(1);
    private readonly ManualTime _time = new();
    private readonly List<HostedModel> _models = [];
    private HostedModel? _model;

    private HostedModel Model => _model ??= Make(_loader);

    public Task InitializeAsync() => Task.CompletedTask;

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        foreach (var model in _models)
        {
            await model.EndAsync();
        }

        Assert.Equal(0, _loader.Live);
    }

    [Fact]
    public async Task Load_Model_IsLoadedWithItsTensorsAndTotals()
    {
        await Model.LoadAsync();

        var status = Model.Status;
        Assert.Equal((ModelState.Loaded, true, 1L, 20L, 3), (status.State, status.IsAvailable, status.Version, status.MemoryBytes, status.TensorCount));
        Assert.Equal([new DTypeTotal("F32", 2, 12), new DTypeTotal("BF16", 1, 8)], status.DTypes.ToArray());
        Assert.Equal(("scripted", "host"), (status.Format, status.Device));
        Assert.Equal((false, 20L), (status.LastLoad!.IsReload, status.LastLoad.BytesRead));
        Assert.Equal([LoadStage.Open], status.LastLoad.Stages.Select(stage => stage.Name));
        Assert.Null(status.Progress);
        Assert.Null(status.Failure);
        Assert.Equal(ScriptedLoader.Planned.ToArray(), Model.Tensors.ToArray());
    }

    [Fact]
    public async Task Load_UnderWay_ShowsProgressAndTheTensorsOfThePlan()
    {
        _loader.IsOpen = false;
        var loading = Model.LoadAsync();
        await _loader.BegunAsync();

        var status = Model.Status;
        Assert.Equal((ModelState.Loading, false, 10L, 20L), (status.State, status.IsAvailable, status.Progress!.Value.BytesRead, status.Progress.Value.TotalBytes));
        Assert.Equal((3, 0L), (status.TensorCount, status.MemoryBytes));
        Assert.False(Model.TryLease(out _));
        _loader.Go();
        await loading;
    }

    [Fact]
    public async Task Load_SeveralCallers_LoadOnce()
    {
        _loader.IsOpen = false;
        var loads = Enumerable.Range(0, 8).Select(_ => Model.LoadAsync()).ToArray();
        await _loader.BegunAsync();
        _loader.Go();
        await Task.WhenAll(loads);
        await Model.LoadAsync();

        Assert.Equal(1, _loader.Loads);
    }

    [Fact]
    public async Task Load_CallerThatGivesUp_LeavesTheLoadAlone()
    {
        _loader.IsOpen = false;
        using var stop = new CancellationTokenSource();
        var loading = Model.LoadAsync(stop.Token);
        await _loader.BegunAsync();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => loading);

        Assert.Equal(ModelState.Loading, Model.Status.State);
        _loader.Go();
        await Model.LoadAsync();
        Assert.Equal(1, _loader.Loads);
    }

    [Fact]
    public async Task Load_ThatFails_SaysWhyAndCanBeTriedAgain()
    {
        _loader.Failure = new DeviceMemoryException("host", 10, 5, "Load less.");
        var thrown = await Assert.ThrowsAsync<ModelNotAvailableException>(() => Model.LoadAsync());

        Assert.IsType<DeviceMemoryException>(thrown.InnerException);
        var status = Model.Status;
        Assert.Equal((ModelState.Failed, FailureCode.DeviceMemory, 1, false), (status.State, status.Failure!.Code, status.Failure.Attempt, status.Failure.IsReload));
        Assert.Empty(Model.Tensors);
        Assert.Equal(0, status.TensorCount);
        var lease = await Assert.ThrowsAsync<ModelNotAvailableException>(() => Model.LeaseAsync().AsTask());
        Assert.Same(thrown.InnerException, lease.InnerException);

        await Model.LoadAsync();
        Assert.Equal((ModelState.Loaded, null), (Model.Status.State, Model.Status.Failure));
    }

    [Fact]
    public async Task Lease_BeforeTheFirstLoad_WaitsForIt()
    {
        _loader.IsOpen = false;
        var model = Make(_loader, options => options.LoadOnStart = true);
        var leasing = model.LeaseAsync().AsTask();
        Assert.False(leasing.IsCompleted);
        var loading = model.LoadAsync();
        await _loader.BegunAsync();
        Assert.False(leasing.IsCompleted);
        _loader.Go();
        await loading;

        using var lease = await leasing;
        Assert.Equal(1, lease.Version);
    }

    [Fact]
    public async Task Lease_OfAModelThatNobodyLoads_Throws()
    {
        var thrown = await Assert.ThrowsAsync<ModelNotAvailableException>(() => Model.LeaseAsync().AsTask());
        Assert.Contains("nobody loads it", thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lease_WaitingWhenTheLoadFails_Throws()
    {
        _loader.IsOpen = false;
        _loader.Failure = new IOException("gone");
        var loading = Model.LoadAsync();
        await _loader.BegunAsync();
        var leasing = Model.LeaseAsync().AsTask();
        _loader.Go();

        await Assert.ThrowsAsync<ModelNotAvailableException>(() => loading);
        var thrown = await Assert.ThrowsAsync<ModelNotAvailableException>(() => leasing);
        Assert.Contains("gone", thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unload_WaitsForTheLastLease()
    {
        await Model.LoadAsync();
        var lease = await Model.LeaseAsync();
        var unloading = Model.UnloadAsync();
        await StateAsync(Model, ModelState.Unloading);

        Assert.Equal(1, _loader.Live);
        Assert.False(Model.TryLease(out _));
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => Model.LeaseAsync().AsTask());
        lease.Dispose();
        await unloading;
        Assert.Equal((ModelState.Unloaded, 0L, 0, false), (Model.Status.State, Model.Status.MemoryBytes, Model.Status.TensorCount, Model.Status.IsAvailable));
        Assert.Equal(0, _loader.Live);
    }

    [Fact]
    public async Task Unload_WhileItIsLoaded_EndsTheLoad()
    {
        _loader.IsOpen = false;
        var loading = Model.LoadAsync();
        await _loader.BegunAsync();
        await Model.UnloadAsync();

        var thrown = await Assert.ThrowsAsync<ModelNotAvailableException>(() => loading);
        Assert.Null(thrown.InnerException);
        Assert.Equal(ModelState.Unloaded, Model.Status.State);
        Assert.Null(Model.Status.Progress);
        Assert.Equal(1, _turns.CurrentCount);
    }

    [Fact]
    public async Task Load_BehindAnUnload_LoadsAgainAndTheVersionGrows()
    {
        await Model.LoadAsync();
        var unloading = Model.UnloadAsync();
        await unloading;
        await Model.LoadAsync();

        Assert.Equal((2, 2L), (_loader.Loads, Model.Status.Version));
    }

    [Fact]
    public async Task Reload_Beside_KeepsTheOldForItsReadersAndGivesTheNewToOthers()
    {
        await Model.LoadAsync();
        _loader.IsOpen = false;
        var old = await Model.LeaseAsync();
        await _loader.BegunAsync();
        var reloading = Model.ReloadAsync();
        await _loader.BegunAsync();
        Assert.Equal((ModelState.Reloading, true), (Model.Status.State, Model.Status.IsAvailable));
        using (var during = await Model.LeaseAsync())
        {
            Assert.Equal(1, during.Version);
        }

        _loader.Go();
        await StateAsync(Model, ModelState.Loaded);
        using (var after = await Model.LeaseAsync())
        {
            Assert.Equal((2L, 1L), (after.Version, old.Version));
        }

        Assert.Equal(2, _loader.Live);
        old.Dispose();
        var reload = await reloading;
        Assert.Equal((2L, true, true), (reload.Version, reload.IsWhole, reload.Load.IsReload));
        Assert.Equal(1, _loader.Live);
    }

    [Fact]
    public async Task Reload_Replace_FreesTheOldFirstAndLeasesWait()
    {
        var model = Make(_loader, options => options.ReloadMode = ReloadMode.Replace);
        await model.LoadAsync();
        await _loader.BegunAsync();
        _loader.IsOpen = false;
        var reloading = model.ReloadAsync();
        await _loader.BegunAsync();
        Assert.Equal((0, false), (_loader.Live, model.Status.IsAvailable));
        var leasing = model.LeaseAsync().AsTask();
        Assert.False(leasing.IsCompleted);
        _loader.Go();

        await reloading;
        using var lease = await leasing;
        Assert.Equal(2, lease.Version);
    }

    [Fact]
    public async Task Reload_ReplaceThatFails_IsFailedAndLeasesThrow()
    {
        var model = Make(_loader, options => options.ReloadMode = ReloadMode.Replace);
        await model.LoadAsync();
        _loader.Failure = new IOException("gone");
        await Assert.ThrowsAsync<ModelReloadException>(() => model.ReloadAsync());

        Assert.Equal((ModelState.Failed, true, FailureCode.Unreadable), (model.Status.State, model.Status.Failure!.IsReload, model.Status.Failure.Code));
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => model.LeaseAsync().AsTask());
        await model.LoadAsync();
        Assert.Equal(ModelState.Loaded, model.Status.State);
    }

    [Fact]
    public async Task Reload_ThatFails_LeavesTheOldModel()
    {
        await Model.LoadAsync();
        _loader.Failure = new DeviceMemoryException("host", 10, 5, "Load less.");
        var thrown = await Assert.ThrowsAsync<ModelReloadException>(() => Model.ReloadAsync());

        Assert.Contains(nameof(ReloadMode.Replace), thrown.Message, StringComparison.Ordinal);
        Assert.Equal((ModelState.Loaded, 1L, true), (Model.Status.State, Model.Status.Version, Model.Status.Failure!.IsReload));
        Assert.Equal(3, Model.Tensors.Length);
        await Model.ReloadAsync();
        Assert.Equal((2L, null), (Model.Status.Version, Model.Status.Failure));
    }

    [Fact]
    public async Task Reload_InPlace_GrowsTheVersionAndCountsOldLayers()
    {
        var loader = new ScriptedLoader(makesAnother: false) { OldLayers = 2 };
        var model = Make(loader);
        await model.LoadAsync();
        var reload = await model.ReloadAsync();

        Assert.Equal((2L, false, 2), (reload.Version, reload.IsWhole, model.Status.LastLoad!.OldLayers));
        Assert.Equal((1, 1), (loader.Loads, loader.Reloads));
    }

    [Fact]
    public async Task Reload_OfWhatIsNotLoaded_LoadsIt()
    {
        var reload = await Model.ReloadAsync();

        Assert.Equal((1L, false), (reload.Version, reload.Load.IsReload));
    }

    [Fact]
    public async Task Reload_ThatIsCancelled_LeavesTheOldModelWithoutAFailure()
    {
        await Model.LoadAsync();
        await _loader.BegunAsync();
        _loader.IsOpen = false;
        using var stop = new CancellationTokenSource();
        var reloading = Model.ReloadAsync(stop.Token);
        await _loader.BegunAsync();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reloading);

        Assert.Equal((ModelState.Loaded, null, 1L), (Model.Status.State, Model.Status.Failure, Model.Status.Version));
        Assert.Equal(1, _loader.Live);
    }

    [Fact]
    public async Task Unload_WhileItIsReloaded_EndsTheReload()
    {
        await Model.LoadAsync();
        await _loader.BegunAsync();
        _loader.IsOpen = false;
        var reloading = Model.ReloadAsync();
        await _loader.BegunAsync();
        await Model.UnloadAsync();

        await Assert.ThrowsAsync<ModelNotAvailableException>(() => reloading);
        Assert.Equal((ModelState.Unloaded, 0), (Model.Status.State, _loader.Live));
    }

    [Fact]
    public async Task Load_OfTwoModelsWithOneTurn_QueuesTheSecond()
    {
        _loader.IsOpen = false;
        var second = Make(new ScriptedLoader());
        var first = Model.LoadAsync();
        await _loader.BegunAsync();
        var waiting = second.LoadAsync();
        await StateAsync(second, ModelState.Queued);
        _loader.Go();
        await first;
        await waiting;

        Assert.Equal(ModelState.Loaded, second.Status.State);
    }

    [Fact]
    public async Task Unload_OfAQueuedModel_TakesItOutOfTheQueue()
    {
        _loader.IsOpen = false;
        var second = Make(new ScriptedLoader());
        var first = Model.LoadAsync();
        await _loader.BegunAsync();
        var waiting = second.LoadAsync();
        await StateAsync(second, ModelState.Queued);
        await second.UnloadAsync();

        await Assert.ThrowsAsync<ModelNotAvailableException>(() => waiting);
        Assert.Equal(ModelState.Unloaded, second.Status.State);
        _loader.Go();
        await first;
    }

    [Fact]
    public async Task Start_WithRetry_TriesAgainWithGrowingDelaysUntilItIsLoaded()
    {
        _loader.Failure = new IOException("not mounted");
        var retry = new RetryOptions { FirstDelay = TimeSpan.FromSeconds(1), MaximumDelay = TimeSpan.FromSeconds(4) };
        var starting = Model.StartAsync(FailureBehavior.Retry, retry, CancellationToken.None);
        var leasing = Model.LeaseAsync().AsTask();
        await _time.WaitForTimersAsync();
        var failure = Model.Status.Failure!;
        Assert.Equal((ModelState.Failed, 1), (Model.Status.State, failure.Attempt));
        Assert.InRange(failure.NextAttemptAt!.Value, _time.GetUtcNow(), _time.GetUtcNow() + TimeSpan.FromSeconds(4));
        Assert.False(leasing.IsCompleted);

        _loader.Failure = new IOException("still not");
        _time.Advance(TimeSpan.FromSeconds(4));
        await _time.WaitForTimersAsync();
        Assert.Equal(2, Model.Status.Failure!.Attempt);
        _time.Advance(TimeSpan.FromSeconds(8));
        await starting;
        using var lease = await leasing;
        Assert.Equal((3, ModelState.Loaded), (_loader.Loads, Model.Status.State));
    }

    [Fact]
    public async Task Start_WithRetryThatIsUsedUp_StaysFailed()
    {
        var loader = new ScriptedLoader { Failure = new IOException("one") };
        var model = Make(loader);
        var starting = model.StartAsync(FailureBehavior.Retry, new RetryOptions { MaximumRetries = 1 }, CancellationToken.None);
        await _time.WaitForTimersAsync();
        loader.Failure = new IOException("two");
        _time.Advance(TimeSpan.FromMinutes(1));
        await starting;

        Assert.Equal((2, ModelState.Failed, null), (loader.Loads, model.Status.State, model.Status.Failure!.NextAttemptAt));
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => model.LeaseAsync().AsTask());
    }

    [Fact]
    public async Task Start_WithRetry_UnloadedBetweenTwoTries_Ends()
    {
        _loader.Failure = new IOException("not mounted");
        var starting = Model.StartAsync(FailureBehavior.Retry, new RetryOptions(), CancellationToken.None);
        await _time.WaitForTimersAsync();
        await Model.UnloadAsync();
        await starting;

        Assert.Equal((1, ModelState.Unloaded), (_loader.Loads, Model.Status.State));
    }

    [Fact]
    public async Task Start_WithStop_ThrowsWhatHasFailed()
    {
        _loader.Failure = new UnsupportedCheckpointException("a thing", "file", "cannot.");
        var thrown = await Assert.ThrowsAsync<ModelNotAvailableException>(() => Model.StartAsync(FailureBehavior.Stop, new RetryOptions(), CancellationToken.None));

        Assert.IsType<UnsupportedCheckpointException>(thrown.InnerException);
    }

    [Fact]
    public async Task Start_WithDegrade_GoesOnWithTheFailure()
    {
        _loader.Failure = new IOException("gone");
        await Model.StartAsync(FailureBehavior.Degrade, new RetryOptions(), CancellationToken.None);

        Assert.Equal(ModelState.Failed, Model.Status.State);
    }

    [Fact]
    public async Task End_WhileItIsLoaded_FreesEverythingAndRefusesWhatComes()
    {
        _loader.IsOpen = false;
        var loading = Model.LoadAsync();
        await _loader.BegunAsync();
        var leasing = Model.LeaseAsync().AsTask();
        await Model.EndAsync();

        await Assert.ThrowsAsync<ModelNotAvailableException>(() => loading);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => leasing);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Model.LoadAsync());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Model.ReloadAsync());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Model.UnloadAsync());
    }

    [Fact]
    public async Task Load_WhileAnUnloadedLoadWindsDown_IsAnotherLoad()
    {
        (_loader.IsOpen, _loader.IsSlowToEnd) = (false, true);
        var first = Model.LoadAsync();
        await _loader.BegunAsync();
        var unloading = Model.UnloadAsync();
        var second = Model.LoadAsync();
        var leasing = Model.LeaseAsync().AsTask();
        _loader.Go();
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => first);
        await unloading;
        await _loader.BegunAsync();
        _loader.Go();
        await second;

        using var lease = await leasing;
        Assert.Equal((2, ModelState.Loaded), (_loader.Loads, Model.Status.State));
    }

    [Fact]
    public async Task Lease_AfterAnUnloadThatEndedTheLoad_Throws()
    {
        _loader.IsOpen = false;
        var loading = Model.LoadAsync();
        await _loader.BegunAsync();
        var leasing = Model.LeaseAsync().AsTask();
        await Model.UnloadAsync();

        await Assert.ThrowsAsync<ModelNotAvailableException>(() => loading);
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => leasing);
    }

    [Fact]
    public async Task Unload_BehindALoadBehindAnUnload_IsTheLastWord()
    {
        await Model.LoadAsync();
        await _loader.BegunAsync();
        var lease = await Model.LeaseAsync();
        _loader.IsOpen = false;
        var first = Model.UnloadAsync();
        var loading = Model.LoadAsync();
        var second = Model.UnloadAsync();
        lease.Dispose();
        await first;
        await second;

        await Assert.ThrowsAsync<ModelNotAvailableException>(() => loading);
        Assert.Equal((ModelState.Unloaded, 0), (Model.Status.State, _loader.Live));
    }

    [Fact]
    public async Task Load_BehindAnUnloadThatWaits_DoesNotTakeTheOldForLoaded()
    {
        await Model.LoadAsync();
        var lease = await Model.LeaseAsync();
        var unloading = Model.UnloadAsync();
        var loading = Model.LoadAsync();
        Assert.False(loading.IsCompleted);
        lease.Dispose();
        await unloading;
        await loading;

        Assert.Equal((2, ModelState.Loaded), (_loader.Loads, Model.Status.State));
    }

    [Fact]
    public async Task Unload_LeaseThatIsNotEnded_IsWaitedForUntilTheTimeout()
    {
        await Model.LoadAsync();
        var lease = await Model.LeaseAsync();
        var unloading = Model.UnloadAsync();
        await _time.WaitForTimersAsync();
        _time.Advance(Model.Settings.Options.LeaseTimeout);
        await unloading;

        Assert.Equal((ModelState.Unloaded, 1), (Model.Status.State, _loader.Live));
        lease.Dispose();
        await LiveAsync(0);
    }

    [Fact]
    public async Task Reload_BesideWithAnOldLease_KeepsNoOtherModelWaiting()
    {
        var other = Make(new ScriptedLoader());
        await Model.LoadAsync();
        var old = await Model.LeaseAsync();
        var reloading = Model.ReloadAsync();
        while (Model.Status.Version == 1)
        {
            await Task.Yield();
        }

        await other.LoadAsync();
        Assert.False(reloading.IsCompleted);
        await Model.UnloadAsync();
        Assert.True((await reloading).IsWhole);
        old.Dispose();
        await LiveAsync(0);
    }

    [Fact]
    public async Task Reload_OldReadersFenceThatFails_IsAReloadAllTheSame()
    {
        await Model.LoadAsync();
        (await Model.LeaseAsync()).EndBehind(new FailingFence());
        var reload = await Model.ReloadAsync();

        Assert.Equal((2L, ModelState.Loaded, null), (reload.Version, Model.Status.State, Model.Status.Failure));
        await LiveAsync(1);
    }

    [Fact]
    public async Task Load_ByACallThatFailsBetweenTwoTries_LeavesTheTries()
    {
        _loader.Failure = new IOException("not mounted");
        var starting = Model.StartAsync(FailureBehavior.Retry, new RetryOptions(), CancellationToken.None);
        await _time.WaitForTimersAsync();
        var leasing = Model.LeaseAsync().AsTask();
        _loader.Failure = new IOException("still not");
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => Model.LoadAsync());

        Assert.False(leasing.IsCompleted);
        Assert.NotNull(Model.Status.Failure!.NextAttemptAt);
        _time.Advance(TimeSpan.FromMinutes(1));
        await starting;
        (await leasing).Dispose();
        Assert.Null(Model.Status.Failure);
    }

    [Fact]
    public async Task End_LeaseThatIsNotEnded_IsWaitedForForAMomentOnly()
    {
        var model = Make(_loader, options => options.LeaseTimeout = Timeout.InfiniteTimeSpan);
        await model.LoadAsync();
        var lease = await model.LeaseAsync();
        var ending = model.EndAsync();
        await _time.WaitForTimersAsync();
        _time.Advance(TimeSpan.FromSeconds(1));
        await ending;

        lease.Dispose();
        await LiveAsync(0);
    }

    [Fact]
    public async Task Reload_AfterAnUnload_LoadsIt()
    {
        await Model.LoadAsync();
        var unloading = Model.UnloadAsync();
        var reload = await Model.ReloadAsync();
        await unloading;

        Assert.Equal((2L, false), (reload.Version, reload.Load.IsReload));
    }

    private async Task LiveAsync(int live)
    {
        for (var i = 0; i < 1000 && _loader.Live != live; i++)
        {
            await Task.Delay(5);
        }

        Assert.Equal(live, _loader.Live);
    }

    private HostedModel Make(ScriptedLoader loader, Action<HostedModelOptions>? configure = null)
    {
        var options = new HostedModelOptions { Path = Path.Combine(Path.GetTempPath(), "is", "not", "there"), Device = "host", LoadOnStart = false };
        configure?.Invoke(options);
        var model = new HostedModel(new HostedModelSettings("scripted", options), loader, _turns, _feed, Telemetries.None(), _time);
        _models.Add(model);
        return model;
    }

    private async Task StateAsync(HostedModel model, ModelState state)
    {
        using var giveUp = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            var sequence = _feed.Sequence;
            if (model.Status.State == state)
            {
                return;
            }

            await _feed.WaitAsync(sequence, giveUp.Token);
        }
    }

    private sealed class FailingFence : Fence
    {
        public override bool HasPassed => throw new IOException("device");

        public override ValueTask WaitAsync(CancellationToken cancellationToken = default) => ValueTask.FromException(new IOException("device"));
    }
}
