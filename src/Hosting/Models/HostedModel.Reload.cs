using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <content>How the model is replaced.</content>
internal sealed partial class HostedModel
{
    // What the path had before it was last opened; null where there was nothing.
    private volatile CheckpointFingerprint? _tried;

    private async Task<ModelReload> ReloadInTurnAsync(CancellationToken cancellationToken)
    {
        // Nobody else changes it: it is this call's turn.
        if (_resident is not { } resident)
        {
            throw _failure is null ? Unloaded() : NotAvailable();
        }

        await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            using var activity = _telemetry.StartLoad(Name, isReload: true);
            var run = Begin(activity, ModelState.Reloading);
            try
            {
                return _loader.MakesAnother
                    ? await ReplaceAsync(run, activity, resident, cancellationToken).ConfigureAwait(false)
                    : await RefillAsync(run, activity, resident, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                activity.Canceled();
                Change(() => EndReload(null, null));
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
        }
    }

    private async Task<ModelReload> ReplaceAsync(LoadRun run, LoadActivity activity, ResidentModel resident, CancellationToken cancellationToken)
    {
        if (_settings.Options.ReloadMode == ReloadMode.Replace)
        {
            Change(() =>
            {
                SetResident(null);
                _isExpected = true;
            });
            await resident.DisposeAsync().ConfigureAwait(false);
            await TakeAsync(run, activity, isReload: true, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await TakeAsync(run, activity, isReload: true, cancellationToken).ConfigureAwait(false);
            // The old ones are nobody's by now but their readers'.
            await resident.DisposeAsync().ConfigureAwait(false);
        }

        var status = Status;
        return new ModelReload(status.Version, status.LastLoad!);
    }

    private async Task<ModelReload> RefillAsync(LoadRun run, LoadActivity activity, ResidentModel resident, CancellationToken cancellationToken)
    {
        var oldLayers = await _loader.ReloadAsync(run, resident, cancellationToken).ConfigureAwait(false);
        var load = run.Complete(isReload: true, oldLayers);
        var version = resident.Version;
        Change(() =>
        {
            EndRun();
            Succeed(version, load);
        });
        activity.Completed(load, resident.Format, resident.Device);
        return new ModelReload(version, load);
    }

    // Layers that were replaced before it ended have another version, and the model with them.
    private void EndReload(ModelFailure? failure, Exception? exception)
    {
        EndRun();
        _status = _status with { Version = _resident?.Version ?? _status.Version, Failure = failure };
        if (_resident is null)
        {
            (_failure, _isExpected) = (exception, false);
            Enter(failure is null ? ModelState.Unloaded : ModelState.Failed);
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
        return $"The model {Name} was not reloaded: {exception.Message}{hint}";
    }
}
