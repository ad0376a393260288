namespace IlgpuLoader.Loading;

// How the live model is saved.
public sealed partial class HotModel
{
    /// <summary>
    /// Saves what the model's rank holds, all of one version (<see cref="ShardedStateLoader.SaveModelAsync"/>): a reload that runs is waited for, the next one waits for the save, and readers go on.
    /// </summary>
    /// <param name="loader">What saves.</param>
    /// <param name="path">The folder, the same for all ranks.</param>
    /// <param name="options">What is saved, and as which rank; null for the defaults.</param>
    /// <param name="progress">Bytes and tensors that are written; must return soon.</param>
    /// <param name="cancellationToken">Ends the waiting, and the work within one piece.</param>
    /// <exception cref="InvalidOperationException">Layers have different versions, because a reload left some their old weights, or the device failed while one was written; or there is nothing to save.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled, or the model was disposed while it was saved; nothing of this rank is left behind.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    /// <inheritdoc cref="ShardedStateLoader.SaveModelAsync" path="/exception"/>
    public async Task<ShardedStateSaveResult> SaveAsync(
        ShardedStateLoader loader, string path, ShardedStateSaveOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(loader);
        ArgumentException.ThrowIfNullOrEmpty(path);
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
        await BeginAsync(either.Token, cancellationToken).ConfigureAwait(false);
        try
        {
            using var lease = await LeaseModelAsync(either.Token).ConfigureAwait(false);
            return await loader.SaveModelAsync(_model, path, options, progress, either.Token).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }
}
