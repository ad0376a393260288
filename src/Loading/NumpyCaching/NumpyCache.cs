using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Loading;

/// <summary>
/// The NumPy cache of a model of PyTorch files, as vLLM has it: the first load writes every tensor into a file of its own in the
/// folder <c>np</c> of the model, with the list of names <c>weight_names.json</c>, and later loads read those. Several processes
/// make it once, and it appears whole or not at all. Checkpoints of other formats are opened as they are: they load without
/// one as fast, and a copy of a model's size is not made for nothing. Safe for any thread.
/// </summary>
/// <remarks>
/// Beside vLLM's list there is a record of ours, <c>ilgpu-loader.json</c>: the files that the cache was made from, the types
/// that NumPy lacks, and the files of tensors whose names are none of a file. A cache is made anew where size or time of one
/// of its sources is another, the tensors are, or one of its files is damaged or missing. One that vLLM made is used while it is
/// newer than its sources, its types and shapes are theirs, and no variant, index or root is asked for, since it does not say of
/// which it was made. Metadata is not kept. vLLM knows of no ties: a tie is listed, with a file of its name (a hard link where there are such), and our record leads
/// to that of the first. The names that vLLM is not told of are those that are no name of a file: they are
/// escaped, and in our record alone.
/// </remarks>
public static class NumpyCache
{
    /// <summary>The name of the cache's folder in that of the model.</summary>
    public const string FolderName = "np";

    /// <summary>Opens the cache of a checkpoint; makes it first where there is none, or another checkpoint's.</summary>
    /// <returns>A checkpoint over the cache, or over the model itself where its files are not PyTorch's; the caller disposes it.</returns>
    /// <inheritdoc cref="OpenReportedAsync"/>
    public static async Task<Checkpoint> OpenAsync(
        string modelFolder,
        CheckpointOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        (await OpenReportedAsync(modelFolder, options, progress, cancellationToken).ConfigureAwait(false)).Checkpoint;

    /// <summary>Opens the cache of a checkpoint as <see cref="OpenAsync"/> does, and says what that took.</summary>
    /// <param name="modelFolder">The folder of the model.</param>
    /// <param name="options">What to open and what to accept; null for the defaults.</param>
    /// <param name="progress">Receives how far the writing is; nothing where the cache is there.</param>
    /// <param name="cancellationToken">Cancels the waiting for another process, and the writing: nothing is left of it then.</param>
    /// <returns>The checkpoint, which the caller disposes, and how it came about.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder: a cache belongs to one.</exception>
    /// <exception cref="IOException">
    /// A file cannot be read or written, the disk is full, or something that is no cache is in its place. The message begins with the path.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    /// <exception cref="UnsupportedCheckpointException">A tensor is of a type that no array can hold.</exception>
    /// <exception cref="CheckpointException">The checkpoint breaks a rule of its format.</exception>
    public static async Task<NumpyCacheOpening> OpenReportedAsync(
        string modelFolder,
        CheckpointOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ThrowIfNoFolder(modelFolder);
        var source = await Checkpoint.OpenAsync(modelFolder, options, cancellationToken).ConfigureAwait(false);
        if (!IsCached(source))
        {
            return new NumpyCacheOpening(source, CachePath: null);
        }

        await using (source.ConfigureAwait(false))
        {
            var folder = new NumpyCacheFolder(Path.Combine(modelFolder, FolderName), source, options);
            if (await folder.TryOpenAsync(cancellationToken).ConfigureAwait(false) is { } ready)
            {
                return new NumpyCacheOpening(ready, folder.Path);
            }

            // Whoever comes second finds it made, and opens it before the next one may replace it.
            var started = Stopwatch.GetTimestamp();
            using var turn = await FolderLock.TakeAsync(modelFolder, cancellationToken).ConfigureAwait(false);
            if (await folder.TryOpenAsync(cancellationToken).ConfigureAwait(false) is { } made)
            {
                return new NumpyCacheOpening(made, folder.Path) { Waited = Stopwatch.GetElapsedTime(started) };
            }

            started = Stopwatch.GetTimestamp();
            folder.ThrowIfForeign();
            await new NumpyCacheWriter(source, options?.Root)
                .WriteAsync(folder.Path, NumpyCacheFolder.NamesFile, progress, cancellationToken).ConfigureAwait(false);
            var written = await folder.OpenWrittenAsync(cancellationToken).ConfigureAwait(false);
            return new NumpyCacheOpening(written, folder.Path) { Made = Stopwatch.GetElapsedTime(started) };
        }
    }

    /// <summary>Opens the cache of a checkpoint where it is there and the checkpoint's, else the checkpoint itself. Writes nothing.</summary>
    /// <param name="modelFolder">The folder of the model.</param>
    /// <param name="options">What to open and what to accept; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <returns>The checkpoint, which the caller disposes, and whether a load would make a cache first.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder: a cache belongs to one.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="CheckpointException">The checkpoint breaks a rule of its format.</exception>
    public static async Task<NumpyCacheOpening> OpenExistingAsync(
        string modelFolder, CheckpointOptions? options = null, CancellationToken cancellationToken = default)
    {
        ThrowIfNoFolder(modelFolder);
        var source = await Checkpoint.OpenAsync(modelFolder, options, cancellationToken).ConfigureAwait(false);
        if (!IsCached(source))
        {
            return new NumpyCacheOpening(source, CachePath: null);
        }

        var folder = new NumpyCacheFolder(Path.Combine(modelFolder, FolderName), source, options);
        Checkpoint? cached;
        try
        {
            cached = await folder.TryOpenAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await source.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        if (cached is not null)
        {
            await source.DisposeAsync().ConfigureAwait(false);
        }

        return new NumpyCacheOpening(cached ?? source, folder.Path) { IsMissing = cached is null };
    }

    // PyTorch files have to be unpickled; the others are read about as fast as a cache.
    private static bool IsCached(Checkpoint source) => source.Files[0].Header is TorchHeader;

    private static void ThrowIfNoFolder(string modelFolder)
    {
        ArgumentException.ThrowIfNullOrEmpty(modelFolder);
        if (!Directory.Exists(modelFolder))
        {
            throw new DirectoryNotFoundException($"{modelFolder}: there is no such folder, and a NumPy cache belongs to the folder of a model.");
        }
    }
}
