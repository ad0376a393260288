using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Finds checkpoints of the Hub: as ranges of its files, or downloaded into the cache first. Safe for any thread.</summary>
/// <param name="services">Connections.</param>
/// <param name="downloads">Downloads.</param>
internal sealed class HubScheme(RemoteServices services, HubDownloads downloads) : IRemoteScheme
{
    /// <inheritdoc/>
    public IReadOnlyList<string> Schemes { get; } = ["hf"];

    /// <inheritdoc/>
    public string Form => HubAddress.Form;

    /// <inheritdoc/>
    public async ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken)
    {
        var parsed = HubAddress.Parse(address);
        var revision = parsed.Revision ?? HubClient.MainRevision;
        var cache = downloads.CacheOf(HubDownloadOptions.Default);
        if (services.Options.Offline)
        {
            // What the cache has; where it has nothing, this says so.
            var local = await downloads.DownloadSnapshotAsync(parsed.Repository, new HubDownloadOptions { Revision = parsed.Revision }, cancellationToken: cancellationToken).ConfigureAwait(false);
            return LocateLocally(parsed, local, IsFolder(local, parsed.Path));
        }

        HubRevision found;
        try
        {
            found = await downloads.Client.GetRevisionAsync(parsed.Repository, revision, cancellationToken).ConfigureAwait(false);
        }
        catch (RemoteException exception) when (exception.Failure == RemoteFailure.Network && FindSnapshot(cache, parsed, revision) is { } snapshot)
        {
            downloads.LogCacheUsed(exception);
            return LocateLocally(parsed, snapshot, IsFolder(snapshot, parsed.Path));
        }

        var isFile = found.Files.Contains(parsed.Path);
        if (!isFile && parsed.Path.Length > 0 && !found.Files.Any(file => file.StartsWith(parsed.Path + "/", StringComparison.Ordinal)))
        {
            throw downloads.Client.MissingFile(parsed.Repository, revision, parsed.Path);
        }

        var folder = isFile ? HubWeights.FolderOf(parsed.Path) : parsed.Path;
        if (services.Options.Access == RemoteAccess.Stream)
        {
            var place = new HubPlace(parsed with { Path = folder }, found, downloads.Client, cache, services.Reading);
            return new CheckpointLocation(place, isFile ? parsed.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..] : null);
        }

        return LocateLocally(parsed, await DownloadAsync(parsed, found, folder, isFile, cancellationToken).ConfigureAwait(false), !isFile);
    }

    private static string? FindSnapshot(HubCache cache, HubAddress address, string revision) =>
        cache.FindCommit(address.Repository, revision) is { } commit && cache.SnapshotOf(address.Repository, commit) is var folder && Directory.Exists(folder) ? folder : null;

    private static bool IsFolder(string snapshot, string path) => path.Length == 0 || Directory.Exists(Path.Combine([snapshot, .. path.Split('/')]));

    private static CheckpointLocation LocateLocally(HubAddress address, string snapshot, bool isFolder)
    {
        var folder = isFolder ? address.Path : HubWeights.FolderOf(address.Path);
        var place = new LocalPlace(folder.Length == 0 ? snapshot : Path.Combine([snapshot, .. folder.Split('/')]));
        return new CheckpointLocation(place, isFolder ? null : address.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..]);
    }

    // By the commit: nothing changes between the listing and the files.
    private async Task<string> DownloadAsync(HubAddress address, HubRevision found, string folder, bool isFile, CancellationToken cancellationToken)
    {
        var pinned = new HubDownloadOptions { Revision = found.Commit };
        Task<string> DownloadIndexAsync(string path) => downloads.DownloadFileAsync(address.Repository, path, pinned, cancellationToken: cancellationToken);
        var names = isFile
            ? await HubWeights.ChooseFileAsync(found.Files, address.Path, DownloadIndexAsync, cancellationToken).ConfigureAwait(false)
            : await HubWeights.ChooseFolderAsync(found.Files, folder, address.ToString(), DownloadIndexAsync, cancellationToken).ConfigureAwait(false);
        return await downloads.DownloadFoundAsync(address.Repository, address.Revision ?? HubClient.MainRevision, found, names, cancellationToken).ConfigureAwait(false);
    }
}
