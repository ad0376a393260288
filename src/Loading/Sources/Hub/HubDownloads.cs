using IlgpuLoader.Formats;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace IlgpuLoader.Loading;

/// <summary>
/// Downloads files of the Hub into a cache that huggingface_hub uses as well, or into a folder. What is there is not fetched again; what was interrupted goes on where it was; what arrives is held against its hash; several
/// processes that want the same fetch it once. Safe for any thread. It owns its connections: dispose it.
/// </summary>
public sealed partial class HubDownloads : IDisposable
{
    private readonly RemoteOptions _options;
    private readonly HubClient _client;
    private readonly HubFetcher _fetcher;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly FileSystemCalls _calls;
    private readonly Action _dispose;

    /// <summary>Connects to nothing yet.</summary>
    /// <param name="options">The Hub, its cache, connections and retries; null for the defaults.</param>
    /// <param name="logger">Where is written what is done; null for that of the options.</param>
    /// <param name="time">The clock; null for the system's.</param>
    public HubDownloads(RemoteOptions? options = null, ILogger? logger = null, TimeProvider? time = null)
        : this(RemoteServices.Create(options ?? RemoteOptions.Default, time), logger, ownsServices: true)
    {
    }

    /// <summary>Shares connections with others.</summary>
    /// <param name="services">The connections.</param>
    /// <param name="logger">Where is written what is done; null for that of the options.</param>
    /// <param name="ownsServices">Whether they end with this.</param>
    internal HubDownloads(RemoteServices services, ILogger? logger = null, bool ownsServices = false)
    {
        _options = services.Options;
        _logger = logger ?? _options.Logger ?? NullLogger.Instance;
        _time = services.Time;
        _calls = services.Calls;
        _client = new HubClient(services.Http, _options.Hub);
        _fetcher = new HubFetcher(_client, services.Engine, _time, _logger);
        _dispose = ownsServices ? services.Dispose : () => { };
        Traffic = services.Traffic;
    }

    /// <summary>What of a repository is no weights in the loader's form, unless something else is said: vLLM's own default.</summary>
    public static IReadOnlyList<string> DefaultIgnorePatterns { get; } = ["original/**/*"];

    /// <summary>The patterns of weights that the loader reads, best first.</summary>
    public static IReadOnlyList<string> DefaultWeightPatterns { get; } = HubWeights.Patterns;

    /// <summary>What was fetched.</summary>
    public RemoteTraffic Traffic { get; }

    /// <summary>Asks the Hub.</summary>
    internal HubClient Client => _client;

    /// <summary>Downloads one file.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="path">The file's path in it.</param>
    /// <param name="options">Which revision, and where to; its own path and patterns do not count. Null for the defaults.</param>
    /// <param name="progress">Who is told how far it is.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    /// <returns>Where the file is.</returns>
    /// <exception cref="RemoteException">It is not to be had, and not in the cache; or what arrived is not what its hash says.</exception>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    public async Task<string> DownloadFileAsync(
        HubRepository repository, string path, HubDownloadOptions? options = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentException.ThrowIfNullOrEmpty(path);
        var (chosen, revision, cache) = Resolve(repository, options);
        HubName.CheckPath(path, repository.ToString());
        var local = LocalOf(chosen);
        if (!chosen.Force && FindPinned(repository, revision, path, cache, local) is { } pinned)
        {
            return pinned;
        }

        HubFile? file;
        string? commit;
        try
        {
            ThrowIfOffline(repository, revision, path, chosen);
            (file, commit) = await _client.FindFileAsync(repository, revision, path, cancellationToken).ConfigureAwait(false);
        }
        catch (RemoteException exception) when (MayStandIn(exception, chosen) && FindOld(repository, revision, path, cache, local) is { } old)
        {
            LogCacheUsed(exception);
            return old;
        }

        if (file is null)
        {
            if (commit is not null && local is null)
            {
                cache.MarkMissing(repository, commit, path);
                await WriteRefAsync(cache, repository, revision, commit, cancellationToken).ConfigureAwait(false);
            }

            throw _client.MissingFile(repository, revision, path);
        }

        var tally = new DownloadTally(progress ?? _options.Progress, _time);
        if (local is not null)
        {
            await _fetcher.FetchAsync(local, cache, [file], chosen.Force, tally, cancellationToken).ConfigureAwait(false);
            return local.FileOf(path);
        }

        await WriteRefAsync(cache, repository, revision, file.Commit, cancellationToken).ConfigureAwait(false);
        var place = cache.FileOf(repository, file.Commit, path);
        if (chosen.Force || !HubCache.IsThere(place))
        {
            await _fetcher.FetchAsync(cache, [file], chosen.Force, tally, cancellationToken).ConfigureAwait(false);
        }

        return place;
    }

    /// <summary>Downloads the files of a repository that lie at a path and fit patterns.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="options">Which files and revision, and where to; null for all files of the main branch.</param>
    /// <param name="progress">Who is told how far it is.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    /// <returns>The folder of the snapshot, or the local folder. Where the Hub cannot be asked it is what the cache has, which may be a part (<see cref="HubDownloadOptions.FallsBackToCache"/>); at least one file.</returns>
    /// <exception cref="RemoteException">It is not to be had, and not in the cache; nothing fits (<see cref="RemoteFailure.EntryMissing"/>); or what arrived is not what its hash says.</exception>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    public Task<string> DownloadSnapshotAsync(
        HubRepository repository, HubDownloadOptions? options = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        var chosen = options ?? HubDownloadOptions.Default;
        return DownloadAsync(repository, chosen, files => HubFileChoice.Filter(files, chosen, path => _client.MissingFile(repository, chosen.Revision ?? HubClient.MainRevision, path)), progress, cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _dispose();

    /// <summary>Downloads chosen files of a revision.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="options">Which revision, and where to.</param>
    /// <param name="choose">Chooses from the paths of all files.</param>
    /// <param name="progress">Who is told how far it is.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The folder.</returns>
    internal async Task<string> DownloadAsync(
        HubRepository repository, HubDownloadOptions options, Func<IReadOnlyList<string>, IEnumerable<string>> choose, IProgress<DownloadProgress>? progress, CancellationToken cancellationToken)
    {
        var (_, revision, cache) = Resolve(repository, options);
        var local = LocalOf(options);
        HubRevision found;
        try
        {
            ThrowIfOffline(repository, revision, path: null, options);
            found = await _client.GetRevisionAsync(repository, revision, cancellationToken).ConfigureAwait(false);
        }
        catch (RemoteException exception) when (MayStandIn(exception, options))
        {
            string? commit = local is null ? cache.FindCommit(repository, revision) : HubName.IsCommit(revision) ? revision : null;
            var old = HubFileChoice.OrNone(() => choose(local is not null ? local.PathsOf(commit) : commit is null ? [] : cache.PathsOf(repository, commit)));
            if (old.Count == 0)
            {
                throw;
            }

            LogCacheUsed(exception);
            var stoodIn = new DownloadTally(progress ?? _options.Progress, _time);
            stoodIn.AddOld(old.Select(path => HubFetcher.LengthOf(local is not null ? local.FileOf(path) : cache.FileOf(repository, commit!, path))));
            stoodIn.Begin();
            return local?.Root ?? cache.SnapshotOf(repository, commit!);
        }

        string[] wanted = [.. choose(found.Files)];
        return wanted.Length > 0
            ? await DownloadAsync(repository, revision, found, wanted, cache, local, options.Force, progress, RemoteOptions.RunAskedDownloadAsync, cancellationToken).ConfigureAwait(false)
            : throw HubFileChoice.NothingFits(repository.ToString(), revision, options, found.Files);
    }

    /// <summary>Downloads files of a revision that is known into the cache, one process at a time, for a checkpoint that is opened (<see cref="RemoteOptions.AroundDownloads"/>).</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="revision">What the revision was called.</param>
    /// <param name="found">The revision.</param>
    /// <param name="paths">The files.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The folder of the snapshot.</returns>
    internal async Task<string> DownloadFoundAsync(HubRepository repository, string revision, HubRevision found, IReadOnlySet<string> paths, CancellationToken cancellationToken)
    {
        using (await TakeModelLockAsync(repository, HubDownloadOptions.Default, cancellationToken).ConfigureAwait(false))
        {
            return await DownloadAsync(repository, revision, found, [.. paths], CacheOf(HubDownloadOptions.Default), null, force: false, null, _options.RunDownloadAsync, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The cache that options mean.</summary>
    internal HubCache CacheOf(HubDownloadOptions options) => new(options.CacheFolder is { } folder ? Path.GetFullPath(folder) : _options.Hub.CacheFolder, _options.Hub.UsesLinks, _calls);

    /// <summary>Writes that the cache is used because the Hub cannot be asked.</summary>
    internal void LogCacheUsed(RemoteException exception)
    {
        if (exception.Failure != RemoteFailure.Offline)
        {
            HubLog.CacheUsed(_logger, exception.Address, exception.Problem);
        }
    }

    private async Task<string> DownloadAsync(
        HubRepository repository,
        string revision,
        HubRevision found,
        IReadOnlyList<string> paths,
        HubCache cache,
        HubLocalFolder? local,
        bool force,
        IProgress<DownloadProgress>? progress,
        Func<Func<Task>, Task> around,
        CancellationToken cancellationToken)
    {
        var tally = new DownloadTally(progress ?? _options.Progress, _time);
        if (local is null)
        {
            await WriteRefAsync(cache, repository, revision, found.Commit, cancellationToken).ConfigureAwait(false);
        }

        var missing = await _fetcher.FindMissingAsync(path => force ? null : FindPinned(repository, found.Commit, path, cache, local), repository, found.Commit, paths, tally, cancellationToken).ConfigureAwait(false);
        var folder = local?.Root ?? cache.SnapshotOf(repository, found.Commit);
        if (missing.Count == 0)
        {
            tally.Begin();
            return folder;
        }

        var begun = _time.GetTimestamp();
        var (name, bytes) = (repository.ToString(), missing.Sum(file => file.Length));
        HubLog.DownloadBegins(_logger, name, missing.Count, bytes, folder);
        await around(async () =>
        {
            try
            {
                await (local is not null
                    ? _fetcher.FetchAsync(local, cache, missing, force, tally, cancellationToken)
                    : _fetcher.FetchAsync(cache, missing, force, tally, cancellationToken)).ConfigureAwait(false);
            }
            finally
            {
                tally.End();
            }
        }).ConfigureAwait(false);
        var taken = _time.GetElapsedTime(begun);
        HubLog.DownloadEnded(_logger, name, taken.TotalSeconds);
        return folder;
    }

    private static string? FindPinned(HubRepository repository, string revision, string path, HubCache cache, HubLocalFolder? local) =>
        !HubName.IsCommit(revision) ? null
        : local is null ? (cache.FileOf(repository, revision, path) is var file && HubCache.IsThere(file) ? file : null)
        : local.Read(path)?.Commit == revision ? local.FileOf(path)
        : null;

    // What the Hub refuses is refused; where it cannot be asked, or does not say whether there is such a repository, the cache may know it.
    private static bool MayStandIn(RemoteException exception, HubDownloadOptions options) =>
        !options.Force
        && (exception.Failure == RemoteFailure.Offline
            || (options.FallsBackToCache && exception.Failure is RemoteFailure.Network or RemoteFailure.Unauthorized or RemoteFailure.Gated or RemoteFailure.RepositoryMissing));

    // In a local folder, only what is known to have come from a Hub: of which repository is not written there, of which commit is.
    private static string? FindOld(HubRepository repository, string revision, string path, HubCache cache, HubLocalFolder? local) =>
        local is null ? cache.Find(repository, revision, path).Path
        : local.Read(path) is { } known && (!HubName.IsCommit(revision) || known.Commit == revision) ? local.FileOf(path)
        : null;

    private HubLocalFolder? LocalOf(HubDownloadOptions options) => options.LocalFolder is { } folder ? new HubLocalFolder(Path.GetFullPath(folder), _time, _calls) : null;

    private (HubDownloadOptions Options, string Revision, HubCache Cache) Resolve(HubRepository repository, HubDownloadOptions? options)
    {
        options ??= HubDownloadOptions.Default;
        var revision = options.Revision ?? HubClient.MainRevision;
        HubName.CheckRevision(revision, repository.ToString());
        if (options.Path is { } path)
        {
            HubName.CheckPath(path, repository.ToString());
        }

        return (options, revision, CacheOf(options));
    }

    private void ThrowIfOffline(HubRepository repository, string revision, string? path, HubDownloadOptions options)
    {
        if (_options.Offline)
        {
            throw new RemoteException(
                RemoteFailure.Offline,
                repository.ToString(),
                $"{(path is null ? "it" : Quoted.Name(path))} {(options.Force ? "is to be fetched" : $"is not in {options.LocalFolder ?? "the cache"}")} at the revision {Quoted.Name(revision)}, and the network may not be asked. Download it first, or allow the network (HF_HUB_OFFLINE=0).");
        }
    }

    // A cache that others fill and that may only be read is of use all the same.
    private async Task WriteRefAsync(HubCache cache, HubRepository repository, string revision, string commit, CancellationToken cancellationToken)
    {
        try
        {
            await cache.WriteRefAsync(repository, revision, commit, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException and not RemoteException)
        {
            HubLog.RefNotWritten(_logger, repository.ToString(), exception.Message);
        }
    }
}
