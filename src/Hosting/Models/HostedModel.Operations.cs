using IlgpuLoader.Loading;
using Polly;
using Polly.Retry;

namespace IlgpuLoader.Hosting;

/// <content>What is done with the model: one thing at a time.</content>
internal sealed partial class HostedModel
{
    // As many loads of all models as are allowed; taken inside the model's own turn.
    private readonly SemaphoreSlim _turns;
    private readonly SemaphoreSlim _one = new(1);
    private readonly CancellationTokenSource _ended = new();

    // Under the lock. Cancelled when the model is unloaded, and made anew then.
    private CancellationTokenSource _until = new();
    private Task? _loading;
    private Task? _unloading;

    /// <inheritdoc/>
    public Task LoadAsync(CancellationToken cancellationToken = default) => LoadSharedAsync(attempt: 1, isTriedAgain: false).WaitAsync(cancellationToken);

    /// <inheritdoc/>
    public async Task<ModelReload> ReloadAsync(CancellationToken cancellationToken = default)
    {
        CancellationToken until;
        bool isLoaded;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isEnded, this);
            (until, isLoaded) = (_until.Token, _resident is not null || _status.State == ModelState.Reloading);
        }

        if (!isLoaded)
        {
            await LoadAsync(cancellationToken).ConfigureAwait(false);
            var loaded = Status;
            return loaded.LastLoad is { } load ? new ModelReload(loaded.Version, load) : throw Unloaded();
        }

        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, until, _ended.Token);
        try
        {
            await _one.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                return await ReloadInTurnAsync(either.Token).ConfigureAwait(false);
            }
            finally
            {
                _one.Release();
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Unloaded();
        }
    }

    /// <inheritdoc/>
    public Task UnloadAsync(CancellationToken cancellationToken = default)
    {
        Task unloading;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isEnded, this);
            unloading = _unloading is { IsCompleted: false } running ? running : _unloading = Task.Run(UnloadOnceAsync, CancellationToken.None);
        }

        return unloading.WaitAsync(cancellationToken);
    }

    /// <summary>Loads the model as the host starts, and does about failures what the options say.</summary>
    /// <param name="onFailure">What becomes of the host.</param>
    /// <param name="retry">How it is tried again.</param>
    /// <param name="cancellationToken">Ends the waiting and the tries.</param>
    /// <exception cref="ModelNotAvailableException">It has failed, and the host is to stop.</exception>
    public async Task StartAsync(FailureBehavior onFailure, RetryOptions retry, CancellationToken cancellationToken)
    {
        CancellationToken until;
        lock (_lock)
        {
            until = _until.Token;
        }

        try
        {
            if (onFailure == FailureBehavior.Retry)
            {
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, until);
                await LoadWithRetriesAsync(retry, either.Token).ConfigureAwait(false);
            }
            else
            {
                await LoadAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Unloaded by a call between two tries.
        }
        catch (ModelNotAvailableException exception) when (exception.InnerException is null)
        {
            // Unloaded by a call while it was loaded.
        }
        catch (ModelNotAvailableException exception) when (onFailure == FailureBehavior.Stop)
        {
            var code = FailureCode.Of(exception);
            _telemetry.HostStops(Name, code);
            throw;
        }
        catch (ModelNotAvailableException)
        {
            // It stays failed, which its status and health say too.
            if (onFailure == FailureBehavior.Retry && Status.Failure is { } last)
            {
                _telemetry.LoadGivenUp(Name, last.Attempt);
            }

            _telemetry.HostDegraded(Name);
        }
    }

    /// <summary>Reloads the model whenever its path has another complete checkpoint, until it is cancelled.</summary>
    /// <param name="warnings">Where it is said why what is there is not loaded yet.</param>
    /// <param name="cancellationToken">Ends the watching, and a reload that it has begun, with an <see cref="OperationCanceledException"/>.</param>
    public async Task WatchAsync(WarningLog warnings, CancellationToken cancellationToken)
    {
        _telemetry.WatchStarted(Name, _settings.WeightsPath, _settings.Options.WatchInterval);
        var watcher = new CheckpointWatcher(_settings.WeightsPath, _settings.Hot(_time), _settings.Watch(warnings), _time);
        await foreach (var seen in watcher.ChangesAsync(() => _tried, cancellationToken).ConfigureAwait(false))
        {
            // Before the first load there is nothing to replace, and what was unloaded by a call stays so.
            var state = Status.State;
            if (state is ModelState.Loaded or ModelState.Reloading or ModelState.Failed)
            {
                _telemetry.ChangeSeen(Name, _settings.WeightsPath);
                try
                {
                    _ = await ReloadAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (Exception exception) when (exception is ModelReloadException or ModelNotAvailableException)
                {
                    // Its status and its log say it; the folder is looked at again when it changes.
                    _tried = seen;
                }
            }
            else if (state == ModelState.Unloaded)
            {
                _tried = seen;
            }
        }
    }

    /// <summary>Ends what is under way and frees the model, for good. Safe to call again.</summary>
    public async Task EndAsync()
    {
        lock (_lock)
        {
            _isEnded = true;
            _isExpected = false;
        }

        await _ended.CancelAsync().ConfigureAwait(false);
        Announce();
        await _one.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            await FreeAsync().ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Ends what is under way, at once, and lets nothing begin; <see cref="EndAsync"/> waits for it.</summary>
    public void BeginEnd()
    {
        lock (_lock)
        {
            _isEnded = true;
            _isExpected = false;
        }

        _ended.Cancel();
        Announce();
    }

    private async Task LoadWithRetriesAsync(RetryOptions retry, CancellationToken cancellationToken)
    {
        var attempt = 0;
        var pipeline = new ResiliencePipelineBuilder { TimeProvider = _time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<ModelNotAvailableException>(exception => exception.InnerException is not null),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = retry.FirstDelay,
                MaxDelay = retry.MaximumDelay,
                MaxRetryAttempts = retry.MaximumRetries ?? int.MaxValue,
                OnRetry = next =>
                {
                    NoteRetry(next.RetryDelay);
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
        await pipeline.ExecuteAsync(
            async token =>
            {
                attempt++;
                await LoadSharedAsync(attempt, isTriedAgain: retry.MaximumRetries is not { } most || attempt <= most).WaitAsync(token).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
    }

    private void NoteRetry(TimeSpan delay)
    {
        var at = _time.GetUtcNow() + delay;
        ModelFailure? failure = null;
        Change(() =>
        {
            if (_status is { State: ModelState.Failed, Failure: { } failed })
            {
                _status = _status with { Failure = failure = failed with { NextAttemptAt = at } };
            }
        });
        if (failure is not null)
        {
            _telemetry.LoadRetried(Name, delay, failure.Attempt + 1);
        }
    }

    // One load for all who want it.
    private Task LoadSharedAsync(int attempt, bool isTriedAgain)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isEnded, this);
            if (_resident is not null)
            {
                return Task.CompletedTask;
            }

            _isExpected = true;
            if (_loading is not { IsCompleted: false } || _until.IsCancellationRequested)
            {
                var until = _until.Token;
                _loading = Task.Run(() => LoadOnceAsync(attempt, isTriedAgain, until), CancellationToken.None);
            }

            return _loading;
        }
    }

    private async Task LoadOnceAsync(int attempt, bool isTriedAgain, CancellationToken until)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(until, _ended.Token);
        try
        {
            await _one.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                if (_resident is null)
                {
                    await LoadInTurnAsync(attempt, isTriedAgain, either.Token).ConfigureAwait(false);
                }
            }
            finally
            {
                _one.Release();
            }
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            throw Unloaded();
        }
    }

    private async Task LoadInTurnAsync(int attempt, bool isTriedAgain, CancellationToken cancellationToken)
    {
        Change(() => Enter(ModelState.Queued));
        if (_turns.CurrentCount == 0)
        {
            _telemetry.LoadQueued(Name);
        }

        try
        {
            await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Change(() => Enter(ModelState.Unloaded));
            throw;
        }

        try
        {
            await LoadNowAsync(attempt, isTriedAgain, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _turns.Release();
        }
    }

    private async Task LoadNowAsync(int attempt, bool isTriedAgain, CancellationToken cancellationToken)
    {
        using var activity = _telemetry.StartLoad(Name, isReload: false);
        var run = Begin(activity, ModelState.Loading);
        try
        {
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
                (_failure, _isExpected) = (exception, isTriedAgain && _isExpected);
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
        CancellationTokenSource until;
        lock (_lock)
        {
            _isExpected = false;
            (until, _until) = (_until, new CancellationTokenSource());
        }

        await until.CancelAsync().ConfigureAwait(false);
        // Those who wait for a lease see that nobody loads it any more.
        Announce();
        await _one.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            await FreeAsync().ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    private async Task FreeAsync()
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

        try
        {
            await resident.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            // A reader's fence, or the driver: the memory is given back all the same.
            _telemetry.FreeingFailed(Name, exception);
        }

        if (!resident.IsFreed)
        {
            _telemetry.LeasesOutstanding(Name, _settings.Options.LeaseTimeout);
        }

        Change(() => Enter(ModelState.Unloaded));
        _telemetry.ModelUnloaded(Name, resident.MemoryBytes);
    }

    private LoadRun Begin(LoadActivity activity, ModelState state)
    {
        var run = new LoadRun(activity, OnProgress, _time);
        // Before the files are opened: what changes from here on is seen as a change.
        _tried = CheckpointFingerprint.Of(_settings.WeightsPath);
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
        SetTensors(_resident?.Tensors ?? []);
    }

    private void Succeed(long version, CompletedLoad load)
    {
        _failure = null;
        _status = _status with { Version = version, LoadedAt = _time.GetUtcNow(), LastLoad = load, Failure = null };
        Enter(ModelState.Loaded);
    }

    private ModelNotAvailableException Unloaded() => new(Name, $"The model {Name} was unloaded meanwhile.");
}
