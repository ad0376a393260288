using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

// How the weights are replaced.
public sealed partial class HotModel
{
    /// <summary>Loads the weights of a checkpoint into the live model, as <c>ModelReloader.ReloadAsync</c> does, with the readers kept off. One reload at a time: a second waits for the first.</summary>
    /// <param name="checkpoint">The checkpoint, which stays open and the caller's.</param>
    /// <param name="options">How; null for the defaults. The gate is the model's own.</param>
    /// <param name="progress">Counts bytes and pieces over all layers. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reload, or the waiting for it.</param>
    /// <returns>What was done with each layer; layers that were read for too long have their old weights.</returns>
    /// <exception cref="ArgumentException">An option is none that is possible here, such as a gate.</exception>
    /// <exception cref="ReloadFailedException">It ended early; it says which layers are new.</exception>
    /// <exception cref="ReloadCanceledException">It was cancelled, or the model was disposed while it ran; it says which layers are new.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public async Task<ReloadReport> ReloadAsync(
        Checkpoint checkpoint, ReloadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        options = Check(options);
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
        await BeginAsync(either.Token, cancellationToken).ConfigureAwait(false);
        try
        {
            return await ReloadNextAsync(checkpoint, options, progress, either.Token).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Opens a checkpoint, by its file or folder (<see cref="HotModelOptions.Open"/>), and loads its weights into the live model. A folder that is watched is not loaded once more for what is loaded here.</summary>
    /// <inheritdoc cref="ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)"/>
    /// <param name="path">The path.</param>
    /// <param name="options">How; null for the defaults. The gate is the model's own.</param>
    /// <param name="progress">Counts bytes and pieces over all layers. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reload, or the waiting for it.</param>
    /// <exception cref="CheckpointException">It cannot be opened.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public async Task<ReloadReport> ReloadAsync(
        string path, ReloadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options = Check(options);
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
        await BeginAsync(either.Token, cancellationToken).ConfigureAwait(false);
        try
        {
            // Before the files are opened: what changes from here on is seen as a change.
            var fingerprint = CheckpointFingerprint.Of(path);
            ReloadReport report;
            try
            {
                var checkpoint = await Checkpoint.OpenAsync(path, _open, either.Token).ConfigureAwait(false);
                await using (checkpoint.ConfigureAwait(false))
                {
                    report = await ReloadNextAsync(checkpoint, options, progress, either.Token).ConfigureAwait(false);
                }
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                Remember(path, fingerprint);
                throw;
            }

            Remember(path, fingerprint);
            return report;
        }
        finally
        {
            _one.Release();
        }
    }

    private static ReloadOptions Check(ReloadOptions? options) =>
        options?.Gate is null
            ? options ?? ReloadOptions.Default
            : throw new ArgumentException($"{nameof(ReloadOptions)}.{nameof(ReloadOptions.Gate)} is the live model's own.", nameof(options));

    private async Task BeginAsync(CancellationToken either, CancellationToken cancellationToken)
    {
        try
        {
            await _one.WaitAsync(either).ConfigureAwait(false);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ObjectDisposedException("The model was disposed before the reload began.", exception);
        }
        catch (OperationCanceledException exception)
        {
            throw new OperationCanceledException(exception.Message, exception, cancellationToken);
        }

        // Its turn may have come between the model's end and the cancellation that says so.
        if (IsDisposed)
        {
            _one.Release();
            throw new ObjectDisposedException(nameof(HotModel));
        }
    }

    private async Task<ReloadReport> ReloadNextAsync(Checkpoint checkpoint, ReloadOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var next = Version + 1;
        using var gate = new HotReloadGate(_layers, _whole, next, _timeout, _time, () => Volatile.Write(ref _version, next));
        try
        {
            var report = await _reload(checkpoint, options with { Gate = gate }, progress, cancellationToken).ConfigureAwait(false);
            Settle(report, gate);
            return report;
        }
        catch (ReloadFailedException exception)
        {
            Settle(exception.Report, gate);
            throw;
        }
        catch (ReloadCanceledException exception)
        {
            Settle(exception.Report, gate);
            throw;
        }
    }

    // What the gate was not told: layers without anything to copy have the new version too, as long as others have it.
    private static void Settle(ReloadReport report, HotReloadGate gate)
    {
        foreach (var layer in report.Layers)
        {
            if (layer.Outcome == LayerOutcome.New)
            {
                gate.EndCopy(layer.Layer);
            }
            else if (layer.Outcome == LayerOutcome.Torn)
            {
                gate.BeginCopy(layer.Layer);
            }
        }
    }
}
