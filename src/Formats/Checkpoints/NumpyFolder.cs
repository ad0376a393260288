using IlgpuLoader.Formats.Numpy;

namespace IlgpuLoader.Formats;

/// <summary>Opens a folder of arrays whose names and types are written elsewhere than in their files' names.</summary>
public static class NumpyFolder
{
    // Headers are small; a thousand of them open in a fraction of the time.
    private const int OpenedAtOnce = 16;

    /// <summary>Opens the arrays as one checkpoint; no element is read.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="entries">Its arrays, whose names differ; an alias comes behind the tensor that it is tied to.</param>
    /// <param name="config">The <c>config.json</c> of the model, where there is one.</param>
    /// <param name="options">What is accepted; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening; everything opened so far is closed.</param>
    /// <exception cref="IOException">A file is missing or cannot be read.</exception>
    /// <exception cref="CheckpointException">A file breaks a rule of the format, or the entries contradict one another.</exception>
    public static async Task<Checkpoint> OpenAsync(
        string folder,
        IReadOnlyList<NumpyFolderEntry> entries,
        ModelConfig? config = null,
        CheckpointOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(entries);
        options ??= CheckpointOptions.Default;
        var stored = entries.Where(entry => entry.TiedTo is null).ToArray();
        var aliases = entries.Where(entry => entry.TiedTo is not null).ToLookup(entry => entry.TiedTo!);
        var limit = new OpenFileLimit(options.MaximumOpenFiles);
        var files = new OpenedFile?[stored.Length];
        try
        {
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = OpenedAtOnce, CancellationToken = cancellationToken };
            await Parallel.ForAsync(0, stored.Length, parallel, async (i, token) =>
                files[i] = await OpenAsync(folder, stored[i], aliases[stored[i].Name], limit, options.Numpy, token).ConfigureAwait(false))
                .ConfigureAwait(false);
            return Checkpoint.OfFiles(folder, files!, config);
        }
        catch
        {
            foreach (var file in files.OfType<OpenedFile>())
            {
                await file.File.Source.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    private static async Task<OpenedFile> OpenAsync(
        string folder,
        NumpyFolderEntry entry,
        IEnumerable<NumpyFolderEntry> aliases,
        OpenFileLimit limit,
        NumpyLimits limits,
        CancellationToken cancellationToken)
    {
        if (entry.File is "" or "." or ".." || entry.File.AsSpan().IndexOfAny('/', '\\', '\0') >= 0)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.IndexPathUnsafe,
                folder,
                $"{Quoted.Name(entry.File)} is no name of a file in this folder.",
                NumpyConstants.Array,
                tensor: entry.Name);
        }

        var source = new LocalFileSource(Path.Combine(folder, entry.File), limit);
        try
        {
            var place = new NpyPlace(source.Name, NumpyConstants.Array, entry.Name, 0);
            var header = await NpyHeaderReader.ReadAsync(source, 0, source.Length, place, limits, entry.DType, cancellationToken).ConfigureAwait(false);
            var file = new CheckpointFile(
                entry.File,
                source.Name,
                NumpyConstants.Array,
                header.Swapped(0) is { } swapped ? ByteOrderSource.Over(source, [swapped]) : source)
            {
                Length = source.Length,
            };
            var tensor = header.Place(entry.Name, file, 0);
            return new OpenedFile(
                file, new FileContent([tensor, .. aliases.Select(alias => tensor.WithAlias(alias.Name))], new Dictionary<string, object>()));
        }
        catch
        {
            await source.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
