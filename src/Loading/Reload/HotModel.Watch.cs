using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace IlgpuLoader.Loading;

// How a folder is followed.
public sealed partial class HotModel
{
    // What each folder had when it was last loaded, or when that failed.
    private readonly ConcurrentDictionary<string, CheckpointFingerprint> _tried = new(StringComparer.Ordinal);

    /// <summary>
    /// Watches a folder, and reloads the model whenever another checkpoint is there: when its files have changed, have been left alone for a while, and are complete. The reload is done in the
    /// enumeration, and each element says how it went; a service enumerates it as long as it runs:
    /// <code>await foreach (var reload in model.WatchAsync(folder, cancellationToken: stopping)) { log(reload); }</code>
    /// </summary>
    /// <remarks>
    /// What is half written, and a folder that is gone for a moment, is looked at again until it is complete. A checkpoint that fails to load, or that leaves layers their old weights, is
    /// reported and not tried again before the folder changes.
    /// </remarks>
    /// <param name="folder">The folder; it need not be there yet.</param>
    /// <param name="options">How it is watched; null for the defaults.</param>
    /// <param name="reload">How it is reloaded; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the watching with an <see cref="OperationCanceledException"/>, and a reload that it has begun.</param>
    /// <returns>Ends when the model is disposed.</returns>
    /// <exception cref="ArgumentException">An option is none that is possible here, such as a gate.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public IAsyncEnumerable<HotReload> WatchAsync(
        string folder, CheckpointWatchOptions? options = null, ReloadOptions? reload = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        options ??= CheckpointWatchOptions.Default;
        // At the call, not when somebody first asks for an element.
        if ((options.Loaded ?? (_tried.ContainsKey(FullPath(folder)) ? null : CheckpointFingerprint.Of(folder))) is { } loaded)
        {
            Remember(folder, loaded);
        }

        return FollowAsync(folder, options, Check(reload), cancellationToken);
    }

    private async IAsyncEnumerable<HotReload> FollowAsync(
        string folder, CheckpointWatchOptions options, ReloadOptions reload, CancellationToken given, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(given, cancellationToken, _ended.Token);
        var changes = new CheckpointWatcher(folder, _options, options, _time).ChangesAsync(() => _tried.GetValueOrDefault(FullPath(folder)), either.Token).GetAsyncEnumerator(either.Token);
        await using (changes.ConfigureAwait(false))
        {
            while (true)
            {
                HotReload done;
                try
                {
                    _ = await changes.MoveNextAsync().ConfigureAwait(false);
                    done = await ReloadChangedAsync(folder, reload, either.Token).ConfigureAwait(false);
                }
                catch (Exception exception) when (IsDisposed && exception is OperationCanceledException or ObjectDisposedException)
                {
                    yield break;
                }

                yield return done;
            }
        }
    }

    private async ValueTask<HotReload> ReloadChangedAsync(string folder, ReloadOptions reload, CancellationToken cancellationToken)
    {
        try
        {
            var report = await ReloadAsync(folder, reload, null, cancellationToken).ConfigureAwait(false);
            return new HotReload(folder, Version, report, null);
        }
        catch (Exception exception) when (!(exception is OperationCanceledException && cancellationToken.IsCancellationRequested) && !(exception is ObjectDisposedException && IsDisposed))
        {
            // Whatever it is: a service that watches for weeks goes on with what it has.
            return new HotReload(folder, Version, (exception as ReloadFailedException)?.Report ?? (exception as ReloadCanceledException)?.Report, exception);
        }
    }

    private void Remember(string path, CheckpointFingerprint? fingerprint)
    {
        if (fingerprint is not null)
        {
            _tried[FullPath(path)] = fingerprint;
        }
    }

    private static string FullPath(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
}
