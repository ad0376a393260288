using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>Where states lie that were saved rank by rank, and the files of a rank there.</summary>
internal static class StatePlaces
{
    /// <summary>Finds the place that a folder or an address means.</summary>
    /// <param name="folder">The folder, or an address.</param>
    /// <param name="remote">Who finds addresses; null for nobody.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="InvalidCheckpointException">An address is that of a file.</exception>
    /// <exception cref="UnsupportedCheckpointException">It is an address, and nobody is there to find it.</exception>
    public static async Task<ICheckpointPlace> LocateAsync(string folder, IRemoteCheckpoints? remote, CancellationToken cancellationToken)
    {
        if (AddressScheme.Of(folder) is not { } scheme)
        {
            // Whether there is such a folder is asked whenever it is listed: a save may replace it meanwhile.
            return new LocalPlace(folder, new OpenFileLimit(CheckpointOptions.Default.MaximumOpenFiles));
        }

        if (remote is null)
        {
            throw new UnsupportedCheckpointException(
                "remote states", AddressScheme.WithoutSecrets(folder), $"this is an address ({scheme}), and only local folders are read here; set {nameof(ShardedStateOptions)}.{nameof(ShardedStateOptions.Remote)}.");
        }

        var (place, file) = await remote.LocateAsync(folder, cancellationToken).ConfigureAwait(false);
        return file is null
            ? CheckpointFolder.Limited(place, new OpenFileLimit(CheckpointOptions.Default.MaximumOpenFiles))
            : throw IsFile(place is DownloadingPlace downloading ? downloading.AddressOf(file) : place.PathOf(file));
    }

    /// <summary>What is said of a file where a folder is needed.</summary>
    public static InvalidCheckpointException IsFile(string path) => new(
        CheckpointErrorCode.NoWeights, path, "this is a file, and a state that was saved rank by rank is a folder: give the folder that the file is in.", SafetensorsConstants.Format);

    /// <summary>Opens the files of a rank as one checkpoint.</summary>
    /// <param name="place">Where they are.</param>
    /// <param name="files">Their base names, at least one, in their order.</param>
    /// <param name="manifest">The rank's manifest, which says how long they are; null for none.</param>
    /// <param name="cancellationToken">Ends the opening; what is open by then is closed.</param>
    /// <returns>The checkpoint, which the caller disposes.</returns>
    /// <exception cref="InvalidCheckpointException">A file is missing, or is not as long as the manifest says.</exception>
    public static async Task<Checkpoint> OpenAsync(ICheckpointPlace place, IReadOnlyList<string> files, RankManifest? manifest, CancellationToken cancellationToken)
    {
        // Of this rank alone: another one's parts are as large.
        await place.PrepareAsync(files, cancellationToken).ConfigureAwait(false);
        var sources = new IByteSource?[files.Count];
        try
        {
            await Parallel.ForAsync(
                0,
                files.Count,
                new ParallelOptions { MaxDegreeOfParallelism = place.ParallelOpens, CancellationToken = cancellationToken },
                async (i, token) => sources[i] = await place.OpenAsync(files[i], token).ConfigureAwait(false)).ConfigureAwait(false);
            if (manifest is not null)
            {
                ThrowIfOtherLengths(sources!, manifest);
            }
        }
        catch
        {
            foreach (var source in sources.OfType<IByteSource>())
            {
                await source.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }

        return await OpenWeightFiles.OpenAsync(files.Count == 1 ? place.PathOf(files[0]) : place.Name, sources!, CheckpointOptions.Default, SafetensorsConstants.Format, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The files of a rank by the manifests.</summary>
    /// <param name="place">Where they are.</param>
    /// <param name="names">The base names of the files there.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="manifests">The manifests of all ranks, at least one.</param>
    /// <exception cref="InvalidCheckpointException">There is no such rank, it has no files, or one is missing.</exception>
    public static string[] FilesOf(ICheckpointPlace place, IReadOnlyList<string> names, int rank, ImmutableArray<RankManifest> manifests)
    {
        if (rank >= manifests.Length)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.WorldSizeMismatch, place.Name, $"the state was saved by {manifests.Length} ranks, 0 to {manifests.Length - 1}, and rank {rank} was asked for.", SafetensorsConstants.Format);
        }

        if (manifests[rank].Files.IsEmpty)
        {
            throw new InvalidCheckpointException(CheckpointErrorCode.ManifestInvalid, place.PathOf(RankManifest.FileName(rank)), "it lists no files. Save the state again.", "manifest");
        }

        var there = names.ToHashSet(StringComparer.Ordinal);
        return manifests[rank].Files.FirstOrDefault(file => !there.Contains(file.Name)) is { } missing
            ? throw new InvalidCheckpointException(
                CheckpointErrorCode.ShardMissing,
                place.PathOf(missing.Name),
                $"{RankManifest.FileName(rank)} lists it with {missing.ByteLength} bytes, and it is not there; copy the folder again.",
                SafetensorsConstants.Format)
            : [.. manifests[rank].Files.Select(file => file.Name)];
    }

    private static void ThrowIfOtherLengths(IEnumerable<IByteSource> sources, RankManifest manifest)
    {
        foreach (var (source, file) in sources.Zip(manifest.Files))
        {
            if (source.Length != file.ByteLength)
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.SizeMismatch,
                    source.Name,
                    $"it has {source.Length} bytes, and {RankManifest.FileName(manifest.Rank)} says {file.ByteLength}; copy the folder again.",
                    SafetensorsConstants.Format);
            }
        }
    }
}
