using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The folder of a NumPy cache, with what may be in it: nothing, a cache of ours or of vLLM, whole or damaged, or something else.</summary>
/// <param name="path">The folder.</param>
/// <param name="source">The checkpoint that it is to be the cache of.</param>
/// <param name="options">What was asked for of that.</param>
internal sealed class NumpyCacheFolder(string path, Checkpoint source, CheckpointOptions? options)
{
    /// <summary>The base name of the list of names, vLLM's.</summary>
    public const string NamesFile = "weight_names.json";

    /// <summary>The folder.</summary>
    public string Path => path;

    private string NamesPath => System.IO.Path.Combine(path, NamesFile);

    private string RecordPath => System.IO.Path.Combine(path, CacheRecord.FileName);

    /// <summary>Opens the cache; null where there is none, none of this checkpoint, or a damaged one.</summary>
    public async Task<Checkpoint?> TryOpenAsync(CancellationToken cancellationToken)
    {
        if (source.Tensors.IsEmpty)
        {
            return null;
        }

        try
        {
            return File.Exists(RecordPath)
                ? await TryOpenOursAsync(cancellationToken).ConfigureAwait(false)
                : await TryOpenForeignAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or CheckpointException)
        {
            // Damaged, or replaced by another process between one file and the next: the caller makes it anew when it is its turn.
            // Unsupported types are such a case too: a cache of ours that came while one without a record was looked for has types
            // that only its record can tell.
            return null;
        }
    }

    /// <summary>Opens the cache that was just written.</summary>
    /// <exception cref="IOException">The sources were changed meanwhile.</exception>
    public async Task<Checkpoint> OpenWrittenAsync(CancellationToken cancellationToken) =>
        await TryOpenOursAsync(cancellationToken).ConfigureAwait(false)
        ?? throw new IOException($"{path}: the sources of the cache were changed while it was made; load again once they are whole.");

    /// <summary>Refuses to replace what is no cache.</summary>
    /// <exception cref="IOException">There is something else.</exception>
    public void ThrowIfForeign()
    {
        if (File.Exists(path)
            || (Directory.Exists(path)
                && Directory.EnumerateFileSystemEntries(path).Any()
                && !File.Exists(NamesPath)
                && !File.Exists(RecordPath)))
        {
            throw new IOException(
                $"{path}: this is where the NumPy cache would be, and what is there is no whole one ({NamesFile} is missing); move it away, or load without the cache.");
        }
    }

    private async Task<Checkpoint?> TryOpenOursAsync(CancellationToken cancellationToken)
    {
        var record = await CacheRecord.ReadAsync(RecordPath, cancellationToken).ConfigureAwait(false);
        if (!File.Exists(NamesPath) || Entries(record) is not { } entries)
        {
            return null;
        }

        var cached = await OpenAsync(entries, cancellationToken).ConfigureAwait(false);
        return await KeepAsync(cached, async () =>
            cached.Tensors.Select(tensor => (tensor.Name, tensor.DType, tensor.Shape)).SequenceEqual(source.Tensors.Select(tensor => (tensor.Name, tensor.DType, tensor.Shape)))
            // Files of two caches, one replaced by the other meanwhile, can have the same names and shapes.
            && (await CacheRecord.ReadAsync(RecordPath, cancellationToken).ConfigureAwait(false))?.Id == record!.Id).ConfigureAwait(false);
    }

    private List<NumpyFolderEntry>? Entries(CacheRecord? record)
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

    // vLLM writes the list last, so a cache that has one is whole; it says nothing of what it was made from, which may have been
    // the files of any variant, index or root.
    private async Task<Checkpoint?> TryOpenForeignAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(NamesPath) || options is { Variant: not null } or { Index: not null } or { Root: not null })
        {
            return null;
        }

        var written = File.GetLastWriteTimeUtc(NamesPath);
        if (CachedSource.Of(source).Any(file => file.Modified >= written))
        {
            return null;
        }

        string[]? names;
        try
        {
            names = JsonSerializer.Deserialize(
                await File.ReadAllBytesAsync(NamesPath, cancellationToken).ConfigureAwait(false), CacheJsonContext.Default.StringArray);
        }
        catch (JsonException)
        {
            return null;
        }

        // One of other tensors, or of names that are paths, is made anew.
        var expected = source.Tensors.ToDictionary(tensor => tensor.Name);
        if (names is null
            || names.Length != expected.Count
            || names.Distinct().Count() != names.Length
            || !names.All(name => IsFileName(name) && expected.ContainsKey(name)))
        {
            return null;
        }

        var cached = await OpenAsync([.. names.Select(name => new NumpyFolderEntry(name, name))], cancellationToken).ConfigureAwait(false);
        return await KeepAsync(cached, () => Task.FromResult(
            cached.Tensors.All(tensor => tensor.DType == expected[tensor.Name].DType && tensor.Shape.Equals(expected[tensor.Name].Shape))
            // One of ours may have come into its place while it was opened.
            && !File.Exists(RecordPath))).ConfigureAwait(false);
    }

    private Task<Checkpoint> OpenAsync(List<NumpyFolderEntry> entries, CancellationToken cancellationToken) =>
        NumpyFolder.OpenAsync(path, entries, source.Config, options, cancellationToken);

    private static async Task<Checkpoint?> KeepAsync(Checkpoint cached, Func<Task<bool>> isRight)
    {
        var kept = false;
        try
        {
            kept = await isRight().ConfigureAwait(false);
            return kept ? cached : null;
        }
        finally
        {
            if (!kept)
            {
                await cached.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    // vLLM makes paths of names; what leads elsewhere is not followed.
    private static bool IsFileName(string? name) => name is not (null or "" or "." or "..") && name.AsSpan().IndexOfAny('/', '\\', '\0') < 0;
}
