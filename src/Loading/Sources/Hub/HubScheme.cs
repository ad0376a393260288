using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Finds checkpoints of the Hub: as ranges of its files, or downloaded into the cache as they are opened. Safe for any thread.</summary>
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
        var place = new HubPlace(parsed with { Path = folder }, found, downloads.Client, cache, services.Reading);
        return new CheckpointLocation(
            services.Options.Access == RemoteAccess.Stream ? place : Downloading(parsed, found, place, folder, cache),
            isFile ? parsed.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..] : null);
    }

    private static string? FindSnapshot(HubCache cache, HubAddress address, string revision) =>
        cache.FindCommit(address.Repository, revision) is { } commit && cache.SnapshotOf(address.Repository, commit) is var folder && Directory.Exists(folder) ? folder : null;

    private static bool IsFolder(string snapshot, string path) => path.Length == 0 || Directory.Exists(Path.Combine([snapshot, .. path.Split('/')]));

    private static CheckpointLocation LocateLocally(HubAddress address, string snapshot, bool isFolder)
    {
        var folder = isFolder ? address.Path : HubWeights.FolderOf(address.Path);
        return new CheckpointLocation(new LocalPlace(FolderIn(snapshot, folder)), isFolder ? null : address.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..]);
    }

    // By the commit: nothing changes between the listing and the files.
    private DownloadingPlace Downloading(HubAddress address, HubRevision found, HubPlace place, string folder, HubCache cache)
    {
        var start = folder.Length == 0 ? "" : folder + "/";
        return new DownloadingPlace(
            place,
            FolderIn(cache.SnapshotOf(address.Repository, found.Commit), folder),
            (names, cancellationToken) => downloads.DownloadFoundAsync(
                address.Repository, address.Revision ?? HubClient.MainRevision, found, names.Select(name => start + name).ToHashSet(), cancellationToken));
    }

    private static string FolderIn(string snapshot, string folder) => folder.Length == 0 ? snapshot : Path.Combine([snapshot, .. folder.Split('/')]);
}
