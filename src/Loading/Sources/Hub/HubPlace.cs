using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A folder of a repository at a commit, whose files are read as ranges of the Hub's. Its content cannot change: it is asked for by the commit. Safe for any thread.</summary>
/// <param name="address">The repository, its revision and the folder.</param>
/// <param name="revision">The commit, and its files.</param>
/// <param name="client">Asks the Hub.</param>
/// <param name="cache">Files that are here already are read here.</param>
/// <param name="reading">Reads ranges.</param>
internal sealed class HubPlace(HubAddress address, HubRevision revision, HubClient client, HubCache cache, RemoteReading reading) : ICheckpointPlace
{
    private readonly HashSet<string> _names = [.. HubWeights.NamesIn(revision.Files, address.Path)];

    /// <inheritdoc/>
    public string Name => address.ToString();

    /// <inheritdoc/>
    public int ParallelOpens => reading.Options.Connections;

    /// <inheritdoc/>
    public string PathOf(string name) => (address with { Path = PathIn(name) }).ToString();

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new ValueTask<IReadOnlyList<string>>([.. _names]);
    }

    /// <inheritdoc/>
    public ValueTask<bool> ExistsAsync(string name, CancellationToken cancellationToken = default) => new(_names.Contains(name));

    /// <inheritdoc/>
    public async ValueTask<IByteSource> OpenAsync(string name, CancellationToken cancellationToken = default)
    {
        if (!_names.Contains(name))
        {
            throw new FileNotFoundException($"{address}: there is no file {Quoted.Name(name)} here.", PathOf(name));
        }

        var path = PathIn(name);
        if (cache.Find(address.Repository, revision.Commit, path).Path is { } local)
        {
            return new LocalFileSource(local);
        }

        var (file, _) = await client.FindFileAsync(address.Repository, revision.Commit, path, cancellationToken).ConfigureAwait(false);
        return file is null
            ? throw client.MissingFile(address.Repository, revision.Commit, path)
            : new RemoteObjectSource(client.Known(file), reading, PathOf(name));
    }

    private string PathIn(string name) => address.Path.Length == 0 ? name : $"{address.Path}/{name}";
}
