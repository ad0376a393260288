using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// The files of an iteration, opened: every header is read and validated before the first weight is given, so that totals are known and a
/// broken last file is not found after an hour. Disposing it closes them.
/// </summary>
internal sealed class OpenWeightFiles : IAsyncDisposable
{
    private OpenWeightFiles(ImmutableArray<Checkpoint> checkpoints) => Checkpoints = checkpoints;

    /// <summary>One for each file, or for each group of files, in the order in which they are given.</summary>
    public ImmutableArray<Checkpoint> Checkpoints { get; }

    /// <summary>Takes a list of files as an iterator is given it.</summary>
    /// <exception cref="ArgumentException">There is none, or one has no name.</exception>
    public static ImmutableArray<string> Check(IEnumerable<string> files)
    {
        ArgumentNullException.ThrowIfNull(files);
        ImmutableArray<string> all = [.. files];
        return all.IsEmpty || all.Any(string.IsNullOrEmpty)
            ? throw new ArgumentException("Weights are read from at least one file, and each has a path.", nameof(files))
            : all;
    }

    /// <summary>Opens files one by one.</summary>
    /// <inheritdoc cref="OpenAsync(ImmutableArray{ImmutableArray{string}}, WeightsOptions, string?, CancellationToken)"/>
    public static Task<OpenWeightFiles> OpenAsync(
        ImmutableArray<string> files, WeightsOptions options, string? format, CancellationToken cancellationToken) =>
        OpenAsync([.. files.Select(file => ImmutableArray.Create(file))], options, format, cancellationToken);

    /// <summary>Opens groups of files, each as one checkpoint.</summary>
    /// <param name="groups">The groups.</param>
    /// <param name="options">What is accepted.</param>
    /// <param name="format">The format that all are of.</param>
    /// <param name="cancellationToken">Cancels the opening; everything opened so far is closed.</param>
    /// <exception cref="UnsupportedCheckpointException">A file is of another format.</exception>
    public static async Task<OpenWeightFiles> OpenAsync(
        ImmutableArray<ImmutableArray<string>> groups, WeightsOptions options, string? format, CancellationToken cancellationToken)
    {
        var limit = new OpenFileLimit(options.Checkpoint.MaximumOpenFiles);
        var checkpoints = new Checkpoint?[groups.Length];
        try
        {
            // Headers are small, and parsing them is work for a core each.
            await Parallel.ForAsync(
                0,
                groups.Length,
                cancellationToken,
                async (i, token) =>
                {
                    var checkpoint = checkpoints[i] = await OpenAsync(groups[i], options, limit, token).ConfigureAwait(false);
                    ThrowIfOther(checkpoint, format);
                }).ConfigureAwait(false);
            return new OpenWeightFiles([.. checkpoints.OfType<Checkpoint>()]);
        }
        catch
        {
            foreach (var checkpoint in checkpoints.OfType<Checkpoint>())
            {
                await checkpoint.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    /// <summary>Opens files whose bytes are found already as one checkpoint.</summary>
    /// <param name="name">What it is called in messages.</param>
    /// <param name="sources">The bytes of each file, at least one; the checkpoint's from now on, also when opening fails.</param>
    /// <param name="options">What is accepted.</param>
    /// <param name="format">The format that all are of.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <exception cref="UnsupportedCheckpointException">A file is of another format.</exception>
    public static async Task<Checkpoint> OpenAsync(
        string name, IReadOnlyList<IByteSource> sources, CheckpointOptions options, string? format, CancellationToken cancellationToken)
    {
        var checkpoint = await Checkpoint.OpenAsync(name, sources, options, cancellationToken).ConfigureAwait(false);
        try
        {
            ThrowIfOther(checkpoint, format);
            return checkpoint;
        }
        catch
        {
            await checkpoint.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var checkpoint in Checkpoints)
        {
            await checkpoint.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task<Checkpoint> OpenAsync(
        ImmutableArray<string> files, WeightsOptions options, OpenFileLimit limit, CancellationToken cancellationToken)
    {
        var sources = new List<IByteSource>(files.Length);
        try
        {
            foreach (var file in files)
            {
                sources.Add(options.Open is { } open ? open(file, limit) : new LocalFileSource(file, limit));
            }
        }
        catch
        {
            foreach (var source in sources)
            {
                await source.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }

        var name = files.Length == 1 ? files[0] : Path.GetDirectoryName(files[0]) is { Length: > 0 } folder ? folder : files[0];
        return await Checkpoint.OpenAsync(name, sources, options.Checkpoint, cancellationToken).ConfigureAwait(false);
    }

    private static void ThrowIfOther(Checkpoint checkpoint, string? format)
    {
        if (format is not null && checkpoint.Files.FirstOrDefault(file => file.Format != format) is { } other)
        {
            throw new UnsupportedCheckpointException(
                $"{format} weights", other.Path, $"its format is {other.Format}; read its weights with what is for that.", other.Format);
        }

        if (checkpoint.UnreadableTensors is [var unreadable, ..])
        {
            throw new UnsupportedCheckpointException(
                "tensors of unknown types", unreadable.File.Path, unreadable.Reason, unreadable.File.Format, unreadable.Name);
        }
    }
}
