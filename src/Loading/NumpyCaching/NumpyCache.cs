using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// The NumPy cache of a checkpoint, as vLLM has it: the first load writes every tensor into a file of its own in the folder
/// <c>np</c> of the model, with the list of names <c>weight_names.json</c>, and later loads read those. Several processes make it
/// once, and it appears whole or not at all. Safe for any thread.
/// </summary>
/// <remarks>
/// Beside vLLM's list there is a record of ours, <c>ilgpu-loader.json</c>: the files that the cache was made from, the types
/// that NumPy lacks, and the files of tensors whose names are none of a file. A cache is made anew where size or time of one
/// of its sources is another, or the tensors are. One that vLLM made is used while it is newer than its sources. Metadata is not
/// kept.
/// </remarks>
public static class NumpyCache
{
    /// <summary>The name of the cache's folder in that of the model.</summary>
    public const string FolderName = "np";

    private const string NamesFile = "weight_names.json";

    /// <summary>Opens the cache of a checkpoint; makes it first where there is none, or another checkpoint's.</summary>
    /// <param name="modelFolder">The folder of the model.</param>
    /// <param name="options">What to open and what to accept; null for the defaults.</param>
    /// <param name="progress">Receives how far the writing is; nothing where the cache is there.</param>
    /// <param name="cancellationToken">Cancels the waiting for another process, and the writing: nothing is left of it then.</param>
    /// <returns>A checkpoint over the cache, which the caller disposes.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder: a cache belongs to one.</exception>
    /// <exception cref="IOException">
    /// A file cannot be read or written, the disk is full, or something that is no cache is in its place. The message begins with the path.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    /// <exception cref="UnsupportedCheckpointException">A tensor is of a type that no array can hold.</exception>
    /// <exception cref="CheckpointException">The checkpoint breaks a rule of its format.</exception>
    public static async Task<Checkpoint> OpenAsync(
        string modelFolder,
        CheckpointOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(modelFolder);
        if (!Directory.Exists(modelFolder))
        {
            throw new DirectoryNotFoundException($"{modelFolder}: there is no such folder, and a NumPy cache belongs to the folder of a model.");
        }

        var source = await Checkpoint.OpenAsync(modelFolder, options, cancellationToken).ConfigureAwait(false);
        await using (source.ConfigureAwait(false))
        {
            var cache = Path.Combine(modelFolder, FolderName);
            if (await TryOpenAsync(cache, source, options, cancellationToken).ConfigureAwait(false) is { } ready)
            {
                return ready;
            }

            // Whoever comes second finds it made.
            using var turn = await FolderLock.TakeAsync(modelFolder, cancellationToken).ConfigureAwait(false);
            if (await TryOpenAsync(cache, source, options, cancellationToken).ConfigureAwait(false) is { } made)
            {
                return made;
            }

            ThrowIfForeign(cache);
            await new NumpyCacheWriter(source, options?.Root).WriteAsync(cache, NamesFile, progress, cancellationToken).ConfigureAwait(false);
            return await TryOpenAsync(cache, source, options, cancellationToken).ConfigureAwait(false)
                ?? throw new IOException($"{cache}: the sources of the cache were changed while it was made; load again once they are whole.");
        }
    }

    // Null where there is none, or none of this checkpoint.
    private static async Task<Checkpoint?> TryOpenAsync(
        string cache, Checkpoint source, CheckpointOptions? options, CancellationToken cancellationToken)
    {
        var names = Path.Combine(cache, NamesFile);
        if (!File.Exists(names) || source.Tensors.IsEmpty)
        {
            return null;
        }

        var path = Path.Combine(cache, CacheRecord.FileName);
        var entries = File.Exists(path)
            ? Entries(await CacheRecord.ReadAsync(path, cancellationToken).ConfigureAwait(false), source, options)
            : await ForeignEntriesAsync(cache, names, source, cancellationToken).ConfigureAwait(false);
        return entries is null
            ? null
            : await NumpyFolder.OpenAsync(cache, entries, source.Config, options, cancellationToken).ConfigureAwait(false);
    }

    private static List<NumpyFolderEntry>? Entries(CacheRecord? record, Checkpoint source, CheckpointOptions? options)
    {
        if (record is null
            || record.Root != options?.Root
            || !record.Sources.SequenceEqual(CachedSource.Of(source))
            || !record.Tensors.Select(tensor => (tensor.Name, tensor.DType)).SequenceEqual(source.Tensors.Select(tensor => (tensor.Name, tensor.DType.Name))))
        {
            return null;
        }

        var entries = new List<NumpyFolderEntry>(record.Tensors.Count);
        foreach (var tensor in record.Tensors)
        {
            if (!DType.TryFromName(tensor.DType, out var dtype))
            {
                return null;
            }

            entries.Add(new NumpyFolderEntry(tensor.Name, tensor.File, dtype, tensor.TiedTo));
        }

        return entries;
    }

    // vLLM writes the list last, so a cache that has one is whole; it says nothing of what it was made from.
    private static async Task<List<NumpyFolderEntry>?> ForeignEntriesAsync(
        string cache, string namesPath, Checkpoint source, CancellationToken cancellationToken)
    {
        var written = File.GetLastWriteTimeUtc(namesPath);
        if (CachedSource.Of(source).Any(file => file.Modified >= written))
        {
            return null;
        }

        string[]? names;
        try
        {
            names = JsonSerializer.Deserialize(
                await File.ReadAllBytesAsync(namesPath, cancellationToken).ConfigureAwait(false), CacheJsonContext.Default.StringArray);
        }
        catch (JsonException)
        {
            return null;
        }

        // One of other tensors, or of names that are paths, is made anew.
        return names is not null
            && names.Length == source.Tensors.Length
            && names.Distinct().Count() == names.Length
            && names.All(name => IsFileName(name) && source.TryGetTensor(name, out _) && File.Exists(Path.Combine(cache, name)))
            ? [.. names.Select(name => new NumpyFolderEntry(name, name))]
            : null;
    }

    // vLLM makes paths of names; what leads elsewhere is not followed.
    private static bool IsFileName(string? name) => name is not (null or "" or "." or "..") && name.AsSpan().IndexOfAny('/', '\\', '\0') < 0;

    private static void ThrowIfForeign(string cache)
    {
        if (File.Exists(cache)
            || (Directory.Exists(cache)
                && Directory.EnumerateFileSystemEntries(cache).Any()
                && !File.Exists(Path.Combine(cache, NamesFile))))
        {
            throw new IOException(
                $"{cache}: this is where the NumPy cache would be, and what is there is no whole one ({NamesFile} is missing); move it away, or load without the cache.");
        }
    }
}
