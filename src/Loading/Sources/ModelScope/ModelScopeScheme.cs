using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Finds checkpoints of ModelScope: as ranges of its files, or downloaded as they are opened. Safe for any thread.</summary>
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
            var there = await downloads.DownloadAsync(parsed, HubDownloadOptions.Default, files => files, null, RemoteOptions.RunAskedDownloadAsync, cancellationToken).ConfigureAwait(false);
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
        var place = new ModelScopePlace(parsed with { Path = folder }, files, downloads.Client, services.Reading);
        return new CheckpointLocation(
            services.Options.Access == RemoteAccess.Stream ? place : Downloading(parsed, place, folder), isFile ? parsed.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..] : null);
    }

    private DownloadingPlace Downloading(ModelScopeAddress address, ModelScopePlace place, string folder)
    {
        var start = folder.Length == 0 ? "" : folder + "/";
        return new DownloadingPlace(
            place,
            FolderIn(downloads.FolderOf(address.Model, HubDownloadOptions.Default), folder),
            (names, cancellationToken) => downloads.DownloadAsync(
                address,
                HubDownloadOptions.Default,
                listed => listed.Where(file => file.Path.StartsWith(start, StringComparison.Ordinal) && names.Contains(file.Path[start.Length..])),
                null,
                services.Options.RunDownloadAsync,
                cancellationToken));
    }

    private static string FolderIn(string model, string folder) => folder.Length == 0 ? model : Path.Combine([model, .. folder.Split('/')]);

    private static CheckpointLocation Locate(ModelScopeAddress address, string model, bool isFolder)
    {
        var folder = isFolder ? address.Path : HubWeights.FolderOf(address.Path);
        return new CheckpointLocation(
            new LocalPlace(FolderIn(model, folder)), isFolder ? null : address.Path[(folder.Length == 0 ? 0 : folder.Length + 1)..]);
    }
}
