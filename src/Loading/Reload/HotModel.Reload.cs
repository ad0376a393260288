using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

// How the weights are replaced.
public sealed partial class HotModel
{
    /// <summary>Loads the weights of a checkpoint into the live model, as <see cref="ModelReloader.ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)"/> does, with the readers kept off. One reload at a time: a second waits for the first.</summary>
    /// <param name="checkpoint">The checkpoint, which stays open and the caller's.</param>
    /// <param name="options">How; null for the defaults. The gate is the model's own.</param>
    /// <param name="progress">Counts bytes and pieces over all layers. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reload, or the waiting for it.</param>
    /// <returns>What was done with each layer; layers that were read for too long have their old weights.</returns>
    /// <exception cref="ArgumentException">An option is none that is possible here, such as a gate.</exception>
    /// <exception cref="ReloadFailedException">It ended early; it says which layers are new.</exception>
    /// <exception cref="ReloadCanceledException">It was cancelled, or the model was disposed while it ran; it says which layers are new.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public Task<ReloadReport> ReloadAsync(
        Checkpoint checkpoint, ReloadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return ReloadInTurnAsync(Check(options), (gated, token) => _reload(checkpoint, gated, progress, token), cancellationToken);
    }

    /// <summary>Loads what the model's rank has saved into the live model, with the readers kept off.</summary>
    /// <inheritdoc cref="ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)"/>
    /// <param name="state">The opened state, which stays open and the caller's.</param>
    /// <param name="options">How; null for the defaults. The gate is the model's own.</param>
    /// <param name="verify">Whether each tensor's SHA-256 is held against the folder's manifests.</param>
    /// <param name="progress">Counts bytes and tensors over all layers. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reload, or the waiting for it.</param>
    public Task<ReloadReport> ReloadAsync(
        ShardedState state, ReloadOptions? options = null, bool verify = true, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(state);
        return ReloadInTurnAsync(Check(options), (gated, token) => _reloadState(state, gated, verify, progress, token), cancellationToken);
    }

    /// <summary>Opens a checkpoint by its file or folder (<see cref="HotModelOptions.Open"/>), or with <see cref="HotModelOptions.Sharded"/> a folder of ranks, and loads its weights into the live model. A folder that is watched is not loaded once more for what is loaded here.</summary>
    /// <inheritdoc cref="ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)"/>
    /// <param name="path">The path.</param>
    /// <param name="options">How; null for the defaults. The gate is the model's own.</param>
    /// <param name="progress">Counts bytes and pieces over all layers. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reload, or the waiting for it.</param>
    /// <exception cref="CheckpointException">It cannot be opened.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public Task<ReloadReport> ReloadAsync(
        string path, ReloadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return ReloadInTurnAsync(Check(options), LoadAsync, cancellationToken);

        async Task<ReloadReport> LoadAsync(ReloadOptions gated, CancellationToken token)
        {
            // Before the files are opened: what changes from here on is seen as a change.
            var fingerprint = CheckpointFingerprint.Of(path);
            try
            {
                var report = await OpenAndLoadAsync(path, gated, progress, token).ConfigureAwait(false);
                Remember(path, fingerprint);
                return report;
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !token.IsCancellationRequested)
            {
                Remember(path, fingerprint);
                throw;
            }
        }
    }

    private async Task<ReloadReport> OpenAndLoadAsync(string path, ReloadOptions gated, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        if (_options.Sharded is { } sharded)
        {
            var state = await sharded.OpenAsync(path, _options.Rank, cancellationToken).ConfigureAwait(false);
            await using (state.ConfigureAwait(false))
            {
                return await _reloadState(state, gated, true, progress, cancellationToken).ConfigureAwait(false);
            }
        }

        var checkpoint = await Checkpoint.OpenAsync(path, _options.Open, cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            return await _reload(checkpoint, gated, progress, cancellationToken).ConfigureAwait(false);
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
            throw new ObjectDisposedException("The model was disposed before its turn came.", exception);
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

    private async Task<ReloadReport> ReloadInTurnAsync(ReloadOptions options, Func<ReloadOptions, CancellationToken, Task<ReloadReport>> load, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
        await BeginAsync(either.Token, cancellationToken).ConfigureAwait(false);
        try
        {
            return await ReloadNextAsync(options, load, either.Token).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    private async Task<ReloadReport> ReloadNextAsync(ReloadOptions options, Func<ReloadOptions, CancellationToken, Task<ReloadReport>> load, CancellationToken cancellationToken)
    {
        var next = Version + 1;
        using var gate = new HotReloadGate(_layers, _whole, next, _timeout, _time, () => Volatile.Write(ref _version, next));
        try
        {
            var report = await load(options with { Gate = gate }, cancellationToken).ConfigureAwait(false);
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
