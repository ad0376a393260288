using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>The downloads of vLLM's loader: a model's weights by its rules, and its index.</content>
public sealed partial class HubDownloads
{
    /// <summary>
    /// Downloads the weights of a model by vLLM's rules (<c>download_weights_from_hf</c>): the first pattern that any file of its root fits is the one; with <c>*.safetensors</c> and an index
    /// (<c>model.safetensors.index.json</c>) it is the files that the index names. Where the files cannot be listed, each pattern is tried until files of it have come. One process does so at a time.
    /// </summary>
    /// <param name="repository">The model.</param>
    /// <param name="allowPatterns">The patterns of weights, best first.</param>
    /// <param name="options">Which revision and where to; its own path and patterns of what is wanted do not count. Null for the defaults.</param>
    /// <param name="progress">Who is told how far it is.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    /// <returns>The folder of the snapshot, or the local folder.</returns>
    /// <exception cref="ArgumentException">There are no patterns.</exception>
    /// <inheritdoc cref="DownloadSnapshotAsync" path="/exception"/>
    public async Task<string> DownloadWeightsAsync(
        HubRepository repository,
        IReadOnlyList<string> allowPatterns,
        HubDownloadOptions? options = null,
        IProgress<DownloadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(allowPatterns);
        if (allowPatterns.Count == 0)
        {
            throw new ArgumentException("there are no patterns of weights; '*.safetensors' is one.", nameof(allowPatterns));
        }

        var chosen = (options ?? HubDownloadOptions.Default) with { Path = null, IgnorePatterns = options?.IgnorePatterns ?? DefaultIgnorePatterns };
        var (names, patterns) = await ChooseWeightsAsync(repository, allowPatterns, chosen, cancellationToken).ConfigureAwait(false);
        HubLog.PatternChosen(_logger, repository.Name, names is null ? string.Join(", ", patterns) : $"{names.Count} files of the index");
        using (await TakeModelLockAsync(repository, chosen, cancellationToken).ConfigureAwait(false))
        {
            var begun = _time.GetTimestamp();
            var folder = names is not null
                ? await DownloadAsync(repository, chosen with { AllowPatterns = [.. names] }, files => HubFileChoice.Filter(files.Where(names.Contains), null, chosen.IgnorePatterns), progress, cancellationToken).ConfigureAwait(false)
                : await TryPatternsAsync(repository, patterns, chosen, progress, cancellationToken).ConfigureAwait(false);
            var taken = _time.GetElapsedTime(begun);
            // vLLM's own bound.
            if (taken > TimeSpan.FromSeconds(0.5))
            {
                HubLog.WeightsDownloaded(_logger, repository.Name, taken.TotalSeconds);
            }

            return folder;
        }
    }

    /// <summary>Downloads the index of a model's weights where it has one (<c>download_safetensors_index_file_from_hf</c>). That it has none is written to the log, and no failure; nor is that the Hub cannot be asked and the cache has none, as in vLLM.</summary>
    /// <param name="repository">The model.</param>
    /// <param name="indexFile">The name of the index.</param>
    /// <param name="options">Which revision and where to; its own path and patterns do not count. Null for the defaults.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>Where the index is; null where there is none.</returns>
    /// <exception cref="RemoteException">The repository or the revision is not to be had, and not in the cache.</exception>
    public async Task<string?> DownloadIndexAsync(HubRepository repository, string indexFile, HubDownloadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        using (await TakeModelLockAsync(repository, options ?? HubDownloadOptions.Default, cancellationToken).ConfigureAwait(false))
        {
            try
            {
                return await DownloadFileAsync(repository, indexFile, options, progress: null, cancellationToken).ConfigureAwait(false);
            }
            catch (RemoteException exception) when (exception.Failure == RemoteFailure.EntryMissing)
            {
                HubLog.NoIndexRemote(_logger, repository.Name, indexFile);
                return null;
            }
            catch (RemoteException exception) when (exception.Failure is RemoteFailure.Offline or RemoteFailure.Network)
            {
                HubLog.NoIndexLocal(_logger, repository.Name, indexFile);
                return null;
            }
        }
    }

    private Task<FileLock> TakeModelLockAsync(HubRepository repository, HubDownloadOptions options, CancellationToken cancellationToken) =>
        FileLock.TakeAsync(ModelLock.PathOf(repository.Name, options.CacheFolder), FileLock.OfAll, _time, cancellationToken);

    private async Task<(IReadOnlySet<string>? Names, IReadOnlyList<string> Patterns)> ChooseWeightsAsync(
        HubRepository repository, IReadOnlyList<string> patterns, HubDownloadOptions options, CancellationToken cancellationToken)
    {
        if (_options.Offline)
        {
            return (null, patterns);
        }

        try
        {
            var (_, revision, _) = Resolve(repository, options);
            var found = await _client.GetRevisionAsync(repository, revision, cancellationToken).ConfigureAwait(false);
            return await HubWeights.ChooseAsync(
                found.Files,
                patterns,
                index => DownloadFileAsync(repository, index, options, progress: null, cancellationToken),
                cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is RemoteException { Failure: not (RemoteFailure.Unsafe or RemoteFailure.Corrupt) } && options is { FallsBackToCache: true, Force: false } || exception is InvalidCheckpointException)
        {
            HubLog.ListingFailed(_logger, repository.Name, exception.Message);
            return (null, patterns);
        }
    }

    private async Task<string> TryPatternsAsync(
        HubRepository repository, IReadOnlyList<string> patterns, HubDownloadOptions options, IProgress<DownloadProgress>? progress, CancellationToken cancellationToken)
    {
        string? folder = null;
        for (var i = 0; i < patterns.Count; i++)
        {
            var isLast = i == patterns.Count - 1;
            try
            {
                // Where none has brought anything, the last says so of all.
                var tried = isLast && folder is null ? patterns : [patterns[i]];
                folder = await DownloadSnapshotAsync(repository, options with { AllowPatterns = tried }, progress, cancellationToken).ConfigureAwait(false);
                if (HubWeights.AnyFits(folder, patterns[i]))
                {
                    return folder;
                }
            }
            catch (RemoteException exception) when ((!isLast || folder is not null) && (exception.Failure == RemoteFailure.EntryMissing || MayStandIn(exception, options)))
            {
                // Nothing fits this one.
            }
        }

        return folder!;
    }
}
