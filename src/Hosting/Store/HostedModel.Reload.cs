using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <content>How the model is replaced.</content>
internal sealed partial class HostedModel
{
    // What the path had before it was last opened; null where there was nothing.
    private volatile CheckpointFingerprint? _tried;

    private async Task<ModelReload> ReloadOnceAsync(CancellationToken until, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, until, _ended.Token);
        try
        {
            either.Token.ThrowIfCancellationRequested();
            // Nobody else changes it: it is this call's turn.
            var resident = _resident ?? throw (_failure is null ? Unloaded() : NotAvailable());
            return _loader.MakesAnother ? await ReplaceAsync(resident, either.Token).ConfigureAwait(false) : await RefillAsync(resident, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested && either.IsCancellationRequested)
        {
            throw Unloaded();
        }
    }

    private async Task<ModelReload> ReplaceAsync(ResidentModel old, CancellationToken cancellationToken)
    {
        var isFreedFirst = _settings.Options.ReloadMode == ReloadMode.Replace;
        if (isFreedFirst)
        {
            Change(() =>
            {
                SetResident(null);
                _isReplacing = true;
                Enter(ModelState.Reloading);
            });
            // Not in the turn of loads: a reader that takes its time keeps no other model waiting.
            await FreeResidentAsync(old, Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
        }

        await ReloadInTurnAsync((run, activity) => TakeAsync(run, activity, isReload: true, cancellationToken), cancellationToken).ConfigureAwait(false);
        if (!isFreedFirst)
        {
            // They are nobody's by now but their readers'; another reload waits for these, since it would take memory a third time.
            await FreeResidentAsync(old, Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
        }

        var status = Status;
        return new ModelReload(status.Version, status.LastLoad!);
    }

    private async Task<ModelReload> RefillAsync(ResidentModel resident, CancellationToken cancellationToken)
    {
        CompletedLoad? load = null;
        await ReloadInTurnAsync(
            async (run, activity) =>
            {
                var oldLayers = await _loader.ReloadAsync(run, resident, cancellationToken).ConfigureAwait(false);
                load = run.Complete(isReload: true, oldLayers);
                Change(() =>
                {
                    EndRun();
                    Succeed(resident.Version, load);
                });
                activity.Completed(load, resident.Format, resident.Device);
            },
            cancellationToken).ConfigureAwait(false);
        return new ModelReload(resident.Version, load!);
    }

    private async Task ReloadInTurnAsync(Func<LoadRun, LoadActivity, Task> reload, CancellationToken cancellationToken)
    {
        try
        {
            await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Change(() => EndReload(_status.Failure, null));
            throw;
        }

        try
        {
            using var activity = _telemetry.StartLoad(Name, isReload: true);
            try
            {
                await reload(Begin(activity, ModelState.Reloading), activity).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                activity.Canceled();
                // A failure of an earlier reload is what is still known of the path.
                Change(() => EndReload(_status.Failure, null));
                throw;
            }
            catch (Exception exception)
            {
                var failure = new ModelFailure(FailureCode.Of(exception), exception.Message, _time.GetUtcNow(), 1, null) { IsReload = true };
                Change(() => EndReload(failure, exception));
                activity.Failed(failure, exception);
                throw new ModelReloadException(Name, Describe(exception), exception);
            }
        }
        finally
        {
            _turns.Release();
            Change(() => _isReplacing = false);
        }
    }

    // Layers that were replaced before it ended have another version, and the model with them.
    private void EndReload(ModelFailure? failure, Exception? exception)
    {
        EndRun();
        _isReplacing = false;
        _status = _status with { Version = _resident?.Version ?? _status.Version, Failure = failure };
        if (_resident is null)
        {
            _failure = exception;
            Enter(exception is null ? ModelState.Unloaded : ModelState.Failed);
        }
        else
        {
            Enter(ModelState.Loaded);
        }
    }

    private string Describe(Exception exception)
    {
        var hint = exception is DeviceMemoryException && _loader.MakesAnother && _settings.Options.ReloadMode == ReloadMode.Beside
            ? $" With {nameof(HostedModelOptions.ReloadMode)} {nameof(ReloadMode.Replace)} the old tensors are freed first."
            : "";
        return $"The model {Quoted.Plain(Name)} was not reloaded: {exception.Message}{hint}";
    }
}
