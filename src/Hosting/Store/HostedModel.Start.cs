using IlgpuLoader.Loading;
using Polly;
using Polly.Retry;

namespace IlgpuLoader.Hosting;

/// <content>How the model is loaded as the host starts, and follows its path.</content>
internal sealed partial class HostedModel
{
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
            (until, _isStarting) = (_until.Token, !_isEnded);
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
        finally
        {
            Change(() => _isStarting = false);
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
                    NoteRetry(next.AttemptNumber + 1, next.RetryDelay);
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
        try
        {
            await pipeline.ExecuteAsync(
                async token =>
                {
                    attempt++;
                    Change(() => _nextAttemptAt = null);
                    await LoadSharedAsync(attempt).WaitAsync(token).ConfigureAwait(false);
                },
                cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Change(() => _nextAttemptAt = null);
        }
    }

    // The status says it of whatever failed last, also of a load by a call in between.
    private void NoteRetry(int attempt, TimeSpan delay)
    {
        var at = _time.GetUtcNow() + delay;
        Change(() => _nextAttemptAt = at);
        _telemetry.LoadRetried(Name, delay, attempt + 1);
    }
}
