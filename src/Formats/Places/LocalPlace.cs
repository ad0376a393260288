namespace IlgpuLoader.Formats;

/// <summary>A local folder. Symbolic links count as what they point to, as in a snapshot of the Hub's cache.</summary>
/// <param name="folder">The folder as it was given; empty for the current one.</param>
/// <param name="limit">Shared by the files that are opened here; null keeps each open until it is disposed.</param>
internal sealed class LocalPlace(string folder, OpenFileLimit? limit = null) : ICheckpointPlace
{
    /// <inheritdoc/>
    public string Name => folder;

    /// <inheritdoc/>
    public int ParallelOpens => Environment.ProcessorCount;

    /// <inheritdoc/>
    public string PathOf(string name) => Path.Combine(folder, name);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new ValueTask<IReadOnlyList<string>>([.. Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path))]);
    }

    /// <inheritdoc/>
    public ValueTask<bool> ExistsAsync(string name, CancellationToken cancellationToken = default) => new(File.Exists(PathOf(name)));

    /// <inheritdoc/>
    public ValueTask<IByteSource> OpenAsync(string name, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new ValueTask<IByteSource>(new LocalFileSource(PathOf(name), limit));
    }
}
