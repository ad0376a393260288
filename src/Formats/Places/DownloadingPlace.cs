using System.Collections.Concurrent;

namespace IlgpuLoader.Formats;

/// <summary>
/// A remote folder whose files are downloaded into a local one before they are opened: those that are asked for, and no others. It lists what the remote one has, whatever the local one has of it. Safe for any thread.
/// </summary>
/// <param name="origin">The remote folder.</param>
/// <param name="folder">The local folder, in which files keep their base names.</param>
/// <param name="download">Downloads files of these base names; what is there already it leaves as it is.</param>
/// <param name="limit">Shared by the files that are opened here; null keeps each open until it is disposed.</param>
internal sealed class DownloadingPlace(ICheckpointPlace origin, string folder, Func<IReadOnlySet<string>, CancellationToken, Task> download, OpenFileLimit? limit = null) : ICheckpointPlace
{
    // What was downloaded through this place or one that shares its folder; what others have left there may be of another revision.
    private readonly ConcurrentDictionary<string, bool> _there = new(StringComparer.Ordinal);

    private DownloadingPlace(DownloadingPlace other, ICheckpointPlace origin, string folder, Func<IReadOnlySet<string>, CancellationToken, Task> download, OpenFileLimit? limit)
        : this(origin, folder, download, limit) => _there = other._there;

    /// <inheritdoc/>
    public string Name => origin.Name;

    /// <inheritdoc/>
    public int ParallelOpens => Environment.ProcessorCount;

    /// <inheritdoc/>
    public bool ListsAll => origin.ListsAll;

    /// <summary>The local path, also of a file that is not there yet.</summary>
    /// <param name="name">A base name.</param>
    public string PathOf(string name) => Path.Combine(folder, name);

    /// <summary>The address of a file.</summary>
    /// <param name="name">A base name.</param>
    public string AddressOf(string name) => origin.PathOf(name);

    /// <summary>The same place with another limit.</summary>
    public DownloadingPlace With(OpenFileLimit? other) => new(this, origin, folder, download, other);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken = default) => origin.ListAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> ExistsAsync(string name, CancellationToken cancellationToken = default) => origin.ExistsAsync(name, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask PrepareAsync(IReadOnlyCollection<string> names, CancellationToken cancellationToken = default)
    {
        var missing = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            if (!_there.ContainsKey(name) && await origin.ExistsAsync(name, cancellationToken).ConfigureAwait(false))
            {
                _ = missing.Add(name);
            }
        }

        if (missing.Count == 0)
        {
            return;
        }

        await download(missing, cancellationToken).ConfigureAwait(false);
        foreach (var name in missing)
        {
            _there[name] = true;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IByteSource> OpenAsync(string name, CancellationToken cancellationToken = default)
    {
        await PrepareAsync([name], cancellationToken).ConfigureAwait(false);
        return _there.ContainsKey(name)
            ? new LocalFileSource(PathOf(name), limit)
            : throw new FileNotFoundException($"{Name}: there is no file {Quoted.Name(name)} here.", AddressOf(name));
    }
}
