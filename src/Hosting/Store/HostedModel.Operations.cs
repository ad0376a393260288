using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <content>What is done with the model: one thing at a time, in the order in which it was asked for.</content>
internal sealed partial class HostedModel
{
    // What frees at the end of the host waits for readers no longer than this: requests under way end within it, and what is still leased then goes with the process.
    private static readonly TimeSpan EndGrace = TimeSpan.FromMilliseconds(500);

    // As many loads of all models as are allowed; taken inside the model's own turn.
    private readonly SemaphoreSlim _turns;
    private readonly OperationQueue _operations = new();
    private readonly CancellationTokenSource _ended = new();

    // Under the lock. Cancelled when the model is unloaded, and made anew then.
    private CancellationTokenSource _until = new();
    // The load that everybody joins: until it has ended, or an unload is asked for.
    private Task? _load;
    private long _loads;
    private int _unloadsAhead;
    private Task? _ending;

    /// <inheritdoc/>
    public Task LoadAsync(CancellationToken cancellationToken = default) => LoadSharedAsync(attempt: 1).WaitAsync(cancellationToken);

    /// <inheritdoc/>
    public async Task<ModelReload> ReloadAsync(CancellationToken cancellationToken = default)
    {
        Task<ModelReload>? reloading = null;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isEnded, this);
            var until = _until.Token;
            if ((_resident is not null || _isReplacing) && _unloadsAhead == 0)
            {
                reloading = _operations.Add(() => ReloadOnceAsync(until, cancellationToken));
            }
        }

        if (reloading is not null)
        {
            return await reloading.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        await LoadAsync(cancellationToken).ConfigureAwait(false);
        var loaded = Status;
        return loaded.LastLoad is { } load ? new ModelReload(loaded.Version, load) : throw Unloaded();
    }

    /// <inheritdoc/>
    public Task UnloadAsync(CancellationToken cancellationToken = default)
    {
        CancellationTokenSource until;
        Task unloading;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isEnded, this);
            // All that was asked for before it ends; what is asked for from now on comes behind it.
            (until, _until) = (_until, new CancellationTokenSource());
            (_isStarting, _load) = (false, null);
            _unloadsAhead++;
            unloading = _operations.Add(UnloadOnceAsync);
        }

        until.Cancel();
        // Those who wait for a lease see that nobody loads it any more.
        Announce();
        return unloading.WaitAsync(cancellationToken);
    }

    /// <summary>Ends what is under way, at once, and lets nothing begin; <see cref="EndAsync"/> waits for it.</summary>
    public void BeginEnd()
    {
        lock (_lock)
        {
            (_isEnded, _isStarting) = (true, false);
        }

        _ended.Cancel();
        Announce();
    }

    /// <summary>Ends what is under way and frees the model, for good; readers are waited for a moment only. Safe to call again.</summary>
    public Task EndAsync()
    {
        BeginEnd();
        lock (_lock)
        {
            return _ending ??= _operations.Add(() => FreeAsync(isEnd: true));
        }
    }

    // One load for all who want it.
    private Task LoadSharedAsync(int attempt)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isEnded, this);
            if (_load is not null)
            {
                return _load;
            }

            if (_resident is not null && _unloadsAhead == 0)
            {
                return Task.CompletedTask;
            }

            var (until, number) = (_until.Token, ++_loads);
            return _load = _operations.Add(() => LoadOnceAsync(attempt, number, until));
        }
    }

    private async Task LoadOnceAsync(int attempt, long number, CancellationToken until)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(until, _ended.Token);
        try
        {
            either.Token.ThrowIfCancellationRequested();
            if (_resident is null)
            {
                await LoadInTurnAsync(attempt, number, either.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            throw Unloaded();
        }
        finally
        {
            lock (_lock)
            {
                EndLoad(number);
            }
        }
    }

    // Under the lock: the load is nobody's to join any more; another may have its place already.
    private void EndLoad(long number) => _load = number == _loads ? null : _load;

    private async Task LoadInTurnAsync(int attempt, long number, CancellationToken cancellationToken)
    {
        Change(() => Enter(ModelState.Queued));
        try
        {
            if (_turns.CurrentCount == 0)
            {
                _telemetry.LoadQueued(Name);
            }

            await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Change(() => Enter(ModelState.Unloaded));
            throw;
        }

        try
        {
            await LoadNowAsync(attempt, number, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _turns.Release();
        }
    }

    private async Task LoadNowAsync(int attempt, long number, CancellationToken cancellationToken)
    {
        using var activity = _telemetry.StartLoad(Name, isReload: false);
        try
        {
            var run = Begin(activity, ModelState.Loading);
            await TakeAsync(run, activity, isReload: false, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            activity.Canceled();
            Change(() =>
            {
                EndRun();
                Enter(ModelState.Unloaded);
            });
            throw;
        }
        catch (Exception exception)
        {
            var failure = new ModelFailure(FailureCode.Of(exception), exception.Message, _time.GetUtcNow(), attempt, null);
            Change(() =>
            {
                EndRun();
                EndLoad(number);
                _failure = exception;
                _status = _status with { Failure = failure };
                Enter(ModelState.Failed);
            });
            activity.Failed(failure, exception);
            throw NotAvailable();
        }
    }

    // Loads another resident model, which is the model's from then on.
    private async Task TakeAsync(LoadRun run, LoadActivity activity, bool isReload, CancellationToken cancellationToken)
    {
        var resident = await _loader.LoadAsync(run, _status.Version, cancellationToken).ConfigureAwait(false);
        var load = run.Complete(isReload, oldLayers: 0);
        Change(() =>
        {
            SetResident(resident);
            EndRun();
            Succeed(resident.Version, load);
        });
        activity.Completed(load, resident.Format, resident.Device);
    }

    private async Task UnloadOnceAsync()
    {
        try
        {
            await FreeAsync(isEnd: false).ConfigureAwait(false);
        }
        finally
        {
            lock (_lock)
            {
                _unloadsAhead--;
            }
        }
    }

    private async Task FreeAsync(bool isEnd)
    {
        ResidentModel? resident = null;
        Change(() =>
        {
            resident = _resident;
            _failure = null;
            _status = _status with { Failure = null };
            SetResident(null);
            Enter(resident is null ? ModelState.Unloaded : ModelState.Unloading);
        });
        if (resident is null)
        {
            return;
        }

        await FreeResidentAsync(resident, isEnd ? EndGrace : Timeout.InfiniteTimeSpan, isEnd ? CancellationToken.None : _ended.Token).ConfigureAwait(false);
        Change(() => Enter(ModelState.Unloaded));
    }

    // Nobody can lease it any more; waits for its readers as long as the options say, or less.
    private async Task FreeResidentAsync(ResidentModel resident, TimeSpan atMost, CancellationToken cancellationToken)
    {
        var timeout = _settings.Options.LeaseTimeout;
        timeout = timeout == Timeout.InfiniteTimeSpan || (atMost != Timeout.InfiniteTimeSpan && atMost < timeout) ? atMost : timeout;
        // Giving gigabytes back takes a while.
        var freeing = Task.Run(resident.FreeAsync, CancellationToken.None);
        var said = SayWhenFreedAsync(resident, freeing);
        try
        {
            await said.WaitAsync(timeout, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Freed by the last reader.
            if (!said.IsCompleted)
            {
                _telemetry.LeasesOutstanding(Name, timeout);
            }
        }
        catch (OperationCanceledException)
        {
            // The host ends, or the model is unloaded, which waits for no reader of a version before: freed by the last of them, without a word of leases that nobody has waited for.
        }
    }

    private async Task SayWhenFreedAsync(ResidentModel resident, Task freeing)
    {
        try
        {
            await freeing.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            // A reader's fence, or the driver: the memory is given back all the same.
            _telemetry.FreeingFailed(Name, exception);
        }

        _telemetry.ModelUnloaded(Name, resident.MemoryBytes);
    }

    private LoadRun Begin(LoadActivity activity, ModelState state)
    {
        var run = new LoadRun(activity, OnProgress, _time);
        // Before the files are opened: what changes from here on is seen as a change.
        _tried = CheckpointFingerprint.Of(_settings.WeightsPath);
        _settings.Connections?.Follow(run);
        Change(() =>
        {
            _run = run;
            Enter(state);
        });
        return run;
    }

    private void OnProgress(LoadRun run)
    {
        lock (_lock)
        {
            _lastDevice = run.Device ?? _lastDevice;
            if (_resident is null && ReferenceEquals(_run, run) && !run.Tensors.IsDefault)
            {
                SetTensors(run.Tensors);
            }
        }

        AnnounceProgress();
    }

    private void EndRun()
    {
        _run = null;
        _settings.Connections?.Follow(null);
        SetTensors(_resident?.Tensors ?? []);
    }

    private void Succeed(long version, CompletedLoad load)
    {
        _failure = null;
        _status = _status with { Version = version, LoadedAt = _time.GetUtcNow(), LastLoad = load, Failure = null };
        Enter(ModelState.Loaded);
    }

    private ModelNotAvailableException Unloaded() => new(Name, $"The model {Quoted.Plain(Name)} was unloaded meanwhile.");
}
