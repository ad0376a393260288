using IlgpuLoader.Loading;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>
/// Loads the models that are to be loaded when the host starts, side by side as far as <see cref="IlgpuLoaderOptions.MaximumConcurrentLoads"/> allows, and follows the folders of those that are watched. Frees
/// all models when the host stops. A failure that the options do not take (<see cref="FailureBehavior.Stop"/>) escapes, which stops the host.
/// </summary>
internal sealed class ModelLoadingService(
    ModelStore store, IOptions<IlgpuLoaderOptions> options, ServiceLiveness liveness, LoadTelemetry telemetry, IHostApplicationLifetime lifetime, TimeProvider time) : BackgroundService
{
    private CancellationTokenRegistration _stopping;
    private int _isEnding;

    /// <inheritdoc/>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        // Services are stopped one after the other, and requests may be waited for before it is this one's turn: what is under way ends as soon as the host is asked to stop.
        _stopping = lifetime.ApplicationStopping.Register(BeginEnd);
        return base.StartAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        await _stopping.DisposeAsync().ConfigureAwait(false);
        BeginEnd();
        await base.StopAsync(cancellationToken).ConfigureAwait(false);
        await store.DisposeAsync().AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
        var (elapsed, live) = (time.GetElapsedTime(started), store.Devices.Sum(device => device.LiveBytes));
        telemetry.ServiceStopped(elapsed, live);
    }

    // Once, before anything ends: what is said is what there was.
    private void BeginEnd()
    {
        if (Interlocked.Exchange(ref _isEnding, 1) == 0)
        {
            var running = store.Hosted.Count(model => model.Status.State is ModelState.Loading or ModelState.Reloading);
            var loaded = store.Hosted.Count(model => model.Status.IsAvailable);
            telemetry.ServiceStopping(running, loaded);
        }

        store.BeginEnd();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _stopping.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var given = options.Value;
        var loadedOnStart = store.Hosted.Count(model => model.Settings.Options.LoadOnStart);
        telemetry.ServiceStarted(store.Hosted.Count, loadedOnStart);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lifetime.ApplicationStopping);
        var token = stop.Token;
        var running = store.Hosted
            .SelectMany(model => (IEnumerable<Task>)[StartAsync(model), FollowAsync(model)])
            .ToList();
        try
        {
            // The first failure at once, not when the last load has ended.
            while (running.Count > 0)
            {
                var ended = await Task.WhenAny(running).ConfigureAwait(false);
                running.Remove(ended);
                await ended.ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // Asked to stop.
        }
        catch (ObjectDisposedException) when (token.IsCancellationRequested)
        {
            // Asked to stop before a load began.
        }
        catch (Exception exception)
        {
            liveness.Fail(exception);
            throw;
        }

        async Task StartAsync(HostedModel model)
        {
            if (model.Settings.Options.LoadOnStart)
            {
                await model.StartAsync(model.Settings.Options.OnFailure ?? given.OnFailure, given.Retry, token).ConfigureAwait(false);
            }
        }

        Task FollowAsync(HostedModel model) =>
            model.Settings.Options.Watch ? model.WatchAsync(new WarningLog(store.Warnings), token) : Task.CompletedTask;
    }
}
