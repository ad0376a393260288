using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Finds checkpoints of ModelScope: as ranges of its files, or downloaded first. Safe for any thread.</summary>
/// <param name="services">Connections.</param>
/// <param name="downloads">Downloads.</param>
internal sealed class ModelScopeScheme(RemoteServices services, ModelScopeDownloads downloads) : IRemoteScheme
{
    /// <inheritdoc/>
    public IReadOnlyList<string> Schemes { get; } = ["ms"];

    /// <inheritdoc/>
    public string Form => ModelScopeAddress.Form;

    /// <inheritdoc/>
    public async ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken)
    {
        var parsed = ModelScopeAddress.Parse(address);
        if (services.Options.Offline)
        {
            var there = await downloads.DownloadAsync(parsed, HubDownloadOptions.Default, files => files, null, cancellationToken).ConfigureAwait(false);
            return Locate(parsed, there, parsed.Path.Length == 0 || Directory.Exists(Path.Combine([there, .. parsed.Path.Split('/')])));
        }

        var revision = parsed.Revision ?? ModelScopeClient.MainRevision;
        var files = await downloads.Client.ListAsync(parsed.Model, revision, cancellationToken).ConfigureAwait(false);
        string[] paths = [.. files.Select(file => file.Path)];
        var isFile = paths.Contains(parsed.Path);
        if (!isFile && parsed.Path.Length > 0 && !paths.Any(path => path.StartsWith(parsed.Path + "/", StringComparison.Ordinal)))
        {
            throw ModelScopeClient.MissingFile(parsed.Model, revision, parsed.Path);
        }

        var folder = isFile ? HubWeights.FolderOf(parsed.Path) : parsed.Path;
        if (services.Options.Access == RemoteAccess.Stream)
        {
            return new CheckpointLocation(
                new ModelScopePlace(parsed with { Path = folder }, files, downloads.Client, services.Reading), isFile ? parsed.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..] : null);
        }

        var names = isFile
            ? await HubWeights.ChooseFileAsync(paths, parsed.Path, DownloadIndexAsync, cancellationToken).ConfigureAwait(false)
            : await HubWeights.ChooseFolderAsync(paths, folder, parsed.ToString(), DownloadIndexAsync, cancellationToken).ConfigureAwait(false);
        return Locate(parsed, await DownloadAsync(names.Contains).ConfigureAwait(false), !isFile);

        Task<string> DownloadAsync(Func<string, bool> isWanted) =>
            downloads.DownloadAsync(parsed, HubDownloadOptions.Default, listed => listed.Where(file => isWanted(file.Path)), null, cancellationToken);

        async Task<string> DownloadIndexAsync(string path) => Path.Combine([await DownloadAsync(path.Equals).ConfigureAwait(false), .. path.Split('/')]);
    }

    private static CheckpointLocation Locate(ModelScopeAddress address, string model, bool isFolder)
    {
        var folder = isFolder ? address.Path : HubWeights.FolderOf(address.Path);
        return new CheckpointLocation(
            new LocalPlace(folder.Length == 0 ? model : Path.Combine([model, .. folder.Split('/')])), isFolder ? null : address.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..]);
    }
}
