using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace IlgpuLoader.Loading;

/// <summary>
/// Downloads models of ModelScope into folders laid out as its own library does: <c>models/OWNER/NAME</c> in the cache, a full stop of the name written as <c>___</c>. What is there with the right size and hash is not
/// fetched again, and not read again to find out while it looks as it did (<c>.ilgpu-loader</c> in the cache); what was interrupted goes on where it was, and begins again where no hash is given. Safe for any thread. It owns its connections: dispose it.
/// </summary>
public sealed class ModelScopeDownloads : IDisposable
{
    // What its library makes of a full stop, which Python's imports cannot have in names of folders.
    private const string MaskedDot = "___";

    private readonly RemoteServices _services;
    private readonly ILogger _logger;
    private readonly bool _ownsServices;

    /// <summary>Connects to nothing yet.</summary>
    /// <param name="options">ModelScope, its cache, connections and retries; null for the defaults.</param>
    /// <param name="logger">Where is written what is done; null for that of the options.</param>
    /// <param name="time">The clock; null for the system's.</param>
    public ModelScopeDownloads(RemoteOptions? options = null, ILogger? logger = null, TimeProvider? time = null)
        : this(RemoteServices.Create(options ?? RemoteOptions.Default, time), logger, ownsServices: true)
    {
    }

    internal ModelScopeDownloads(RemoteServices services, ILogger? logger = null, bool ownsServices = false)
    {
        _services = services;
        _logger = logger ?? services.Options.Logger ?? NullLogger.Instance;
        _ownsServices = ownsServices;
        Client = new ModelScopeClient(services.Http, services.Options.ModelScope);
    }

    /// <summary>What was fetched.</summary>
    public RemoteTraffic Traffic => _services.Traffic;

    /// <summary>Asks ModelScope.</summary>
    internal ModelScopeClient Client { get; }

    /// <summary>
    /// Downloads a model where ModelScope is preferred to the Hub (<see cref="ModelScopeSettings.IsPreferred"/>), as vLLM's <c>maybe_download_from_modelscope</c>: a model that is a local folder stays where it is.
    /// </summary>
    /// <param name="model">The model, <c>owner/name</c>, or a folder.</param>
    /// <param name="options">Which files and revision, and where to; null for all files of the main branch.</param>
    /// <param name="progress">Who is told how far it is.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    /// <returns>The model's folder; null where ModelScope is not preferred.</returns>
    /// <inheritdoc cref="DownloadSnapshotAsync" path="/exception"/>
    public async Task<string?> DownloadIfPreferredAsync(
        string model, HubDownloadOptions? options = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        if (!_services.Options.ModelScope.IsPreferred)
        {
            return null;
        }

        using (await FileLock.TakeAsync(ModelLock.PathOf(model, options?.CacheFolder), FileLock.OfAll, _services.Time, cancellationToken).ConfigureAwait(false))
        {
            return Path.Exists(model) ? model : await DownloadSnapshotAsync(model, options, progress, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Downloads the files of a model that lie at a path and fit patterns. Of files without a hash only the size is checked: one that is there with that size is taken as it is, of whatever revision.</summary>
    /// <param name="model">The model, <c>owner/name</c>.</param>
    /// <param name="options">Which files and revision, and where to; null for all files of the main branch.</param>
    /// <param name="progress">Who is told how far it is.</param>
    /// <param name="cancellationToken">Ends the work; what has arrived is kept for the next run.</param>
    /// <returns>The model's folder. It has one revision at a time.</returns>
    /// <exception cref="ArgumentException">The model has no name of ModelScope.</exception>
    /// <exception cref="RemoteException">It is not to be had, and not in the cache; or what arrived is not what its hash says.</exception>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    public Task<string> DownloadSnapshotAsync(string model, HubDownloadOptions? options = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        var chosen = options ?? HubDownloadOptions.Default;
        return DownloadAsync(
            ModelScopeAddress.Parse(model) with { Revision = chosen.Revision },
            chosen,
            files =>
            {
                string[] paths = [.. files.Select(file => file.Path)];
                var wanted = HubFileChoice.Filter(paths, chosen, path => ModelScopeClient.MissingFile(model, chosen.Revision ?? ModelScopeClient.MainRevision, path)).ToHashSet();
                return files.Where(file => wanted.Contains(file.Path));
            },
            progress,
            RemoteOptions.RunAskedDownloadAsync,
            cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_ownsServices)
        {
            _services.Dispose();
        }
    }

    /// <summary>Where a model's files are.</summary>
    internal string FolderOf(string model, HubDownloadOptions options)
    {
        if (options.LocalFolder is { } local)
        {
            return Path.GetFullPath(local);
        }

        var parts = model.Split('/');
        var root = options.CacheFolder is { } cache ? Path.GetFullPath(cache) : Path.Combine(_services.Options.ModelScope.CacheFolder, "models");
        return Path.Combine(root, parts[0], parts[1].Replace(".", MaskedDot, StringComparison.Ordinal));
    }

    /// <summary>Downloads chosen files of a model; what fetches those that are missing is run by <paramref name="around"/>.</summary>
    internal async Task<string> DownloadAsync(
        ModelScopeAddress address,
        HubDownloadOptions options,
        Func<IReadOnlyList<ModelScopeFile>, IEnumerable<ModelScopeFile>> choose,
        IProgress<DownloadProgress>? progress,
        Func<Func<Task>, Task> around,
        CancellationToken cancellationToken)
    {
        var folder = FolderOf(address.Model, options);
        if (options.Path is { } path)
        {
            HubName.CheckPath(path, address.ToString());
        }

        if (_services.Options.Offline)
        {
            return TakeOld(address, options, folder, choose, progress);
        }

        var revision = address.Revision ?? ModelScopeClient.MainRevision;
        var listed = await Client.ListAsync(address.Model, revision, cancellationToken).ConfigureAwait(false);
        ModelScopeFile[] files = [.. choose(listed)];
        if (files.Length == 0)
        {
            throw HubFileChoice.NothingFits(address.ToString(), revision, options, [.. listed.Select(file => file.Path)]);
        }

        foreach (var file in files)
        {
            HubName.CheckLocalPath(file.Path, address.ToString());
        }

        Directory.CreateDirectory(folder);
        var root = options.CacheFolder is { } cache ? Path.GetFullPath(cache) : _services.Options.ModelScope.CacheFolder;
        var name = address.Model.Replace("/", MaskedDot, StringComparison.Ordinal);
        // Its library's lock of a model.
        var locked = Path.Combine(root, ".lock", name);
        using (await FileLock.TakeAsync(locked, FileLock.OfGroup, _services.Time, cancellationToken).ConfigureAwait(false))
        {
            // Nothing of ours in a folder of a user's own: its files are read each time.
            var verified = await VerifiedFiles.ReadAsync(options.LocalFolder is null ? Path.Combine(root, ".ilgpu-loader", name) : null, cancellationToken).ConfigureAwait(false);
            await FetchAsync(address.Model, revision, folder, files, options.Force, verified, new DownloadTally(progress ?? _services.Options.Progress, _services.Time), around, cancellationToken).ConfigureAwait(false);
        }

        LinkUnmasked(address.Model, folder, options);
        return folder;
    }

    private static DownloadTarget TargetOf(string folder, ModelScopeFile file)
    {
        var path = Path.Combine([folder, .. file.Path.Split('/')]);
        // Where there is no hash a name says what is known: the size.
        return new DownloadTarget(path, path, file.Sha256 ?? "unnamed");
    }

    private static async Task<bool> IsThereAsync(string path, ModelScopeFile file, VerifiedFiles verified, CancellationToken cancellationToken) =>
        new FileInfo(path) is { Exists: true } found
        && found.Length == file.Length
        && (file.Sha256 is null || verified.Contains(file.Path, found, file.Sha256) || await verified.VerifyAsync(file.Path, found, file.Sha256, cancellationToken).ConfigureAwait(false));

    private async Task KeepAsync(VerifiedFiles verified, string model, CancellationToken cancellationToken)
    {
        try
        {
            await verified.WriteAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Files are read again the next time.
            HubLog.VerifiedNotKept(_logger, model, exception.Message);
        }
    }

    // What is in a folder of a user's own may be anything: nothing there says that it is of this model.
    private string TakeOld(ModelScopeAddress address, HubDownloadOptions options, string folder, Func<IReadOnlyList<ModelScopeFile>, IEnumerable<ModelScopeFile>> choose, IProgress<DownloadProgress>? progress)
    {
        var problem = options.Force ? "all of it is to be fetched"
            : options.LocalFolder is not null ? $"nothing in {folder} says whose files these are"
            : $"it is not in {folder}";
        ModelScopeFile[] old = options.Force || options.LocalFolder is not null ? [] : [.. HubFileChoice.OrNone(() => choose(FilesIn(folder)))];
        if (old.Length == 0)
        {
            throw new RemoteException(RemoteFailure.Offline, address.ToString(), $"{problem}, and the network may not be asked. Download it first, or allow the network (HF_HUB_OFFLINE=0).");
        }

        var tally = new DownloadTally(progress ?? _services.Options.Progress, _services.Time);
        tally.AddOld(old.Select(file => file.Length));
        tally.Begin();
        return folder;
    }

    private static List<ModelScopeFile> FilesIn(string folder) =>
        !Directory.Exists(folder)
            ? []
            : [.. new DirectoryInfo(folder).EnumerateFiles("*", new EnumerationOptions { AttributesToSkip = FileAttributes.ReparsePoint, RecurseSubdirectories = true })
                .Where(file => !PartialFile.IsUnfinished(file.Name))
                .Select(file => new ModelScopeFile(Path.GetRelativePath(folder, file.FullName).Replace(Path.DirectorySeparatorChar, '/'), file.Length, null))];

    private async Task FetchAsync(string model, string revision, string folder, ModelScopeFile[] files, bool force, VerifiedFiles verified, DownloadTally tally, Func<Func<Task>, Task> around, CancellationToken cancellationToken)
    {
        var missing = new List<ModelScopeFile>();
        foreach (var file in files)
        {
            tally.Expect(file.Length);
            if (!force && await IsThereAsync(TargetOf(folder, file).Path, file, verified, cancellationToken).ConfigureAwait(false))
            {
                // A run that was killed right after the file had its name has left its journal.
                PartialFile.Delete(TargetOf(folder, file).Stem);
                tally.AddPresent(file.Length);
                tally.AddFile();
            }
            else
            {
                if (file.Sha256 is null)
                {
                    // What is left may be another revision's of the same size, and no hash would tell of the mixture.
                    PartialFile.Delete(TargetOf(folder, file).Stem);
                }

                missing.Add(file);
            }
        }

        await KeepAsync(verified, model, cancellationToken).ConfigureAwait(false);
        if (missing.Count == 0)
        {
            tally.Begin();
            return;
        }

        var begun = _services.Time.GetTimestamp();
        var bytes = missing.Sum(file => file.Length);
        HubLog.DownloadBegins(_logger, model, missing.Count, bytes, folder);
        await around(async () =>
        {
            tally.Begin();
            try
            {
                await FetchAsync(model, revision, folder, missing, tally, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                tally.End();
            }
        }).ConfigureAwait(false);
        var taken = _services.Time.GetElapsedTime(begun);
        HubLog.DownloadEnded(_logger, model, taken.TotalSeconds);
    }

    private Task FetchAsync(string model, string revision, string folder, List<ModelScopeFile> missing, DownloadTally tally, CancellationToken cancellationToken)
    {
        _services.Engine.CheckRoom(folder, missing.Sum(file => _services.Engine.CountRoom(TargetOf(folder, file), file.Length)));
        return DownloadOrder.FetchAsync(
            missing,
            file => file.Path,
            _services.Engine.ParallelFiles,
            async (file, token) =>
            {
                var target = TargetOf(folder, file);
                Directory.CreateDirectory(Path.GetDirectoryName(target.Path)!);
                await _services.Engine.FetchAsync(await Client.OpenAsync(model, revision, file, token).ConfigureAwait(false), target, tally, token).ConfigureAwait(false);
                tally.AddFile();
                HubLog.FileDownloaded(_logger, target.Path, file.Length);
            },
            cancellationToken);
    }

    // A name with full stops is a link to the folder that has none, as its library leaves it.
    private void LinkUnmasked(string model, string folder, HubDownloadOptions options)
    {
        var name = model.Split('/')[1];
        var link = Path.Combine(Path.GetDirectoryName(folder)!, name);
        if (options.LocalFolder is not null || link == folder || Path.Exists(link))
        {
            return;
        }

        try
        {
            Directory.CreateSymbolicLink(link, folder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Windows without the right to make links, or another process that has made it: the folder is what is given.
            HubLog.LinkNotMade(_logger, link, exception.Message);
        }
    }
}
