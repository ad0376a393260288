using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A folder of a model of ModelScope, whose files are read as ranges. Safe for any thread.</summary>
/// <param name="address">The model, its revision and the folder.</param>
/// <param name="files">The model's files.</param>
/// <param name="client">Asks ModelScope.</param>
/// <param name="reading">Reads ranges.</param>
internal sealed class ModelScopePlace(ModelScopeAddress address, IReadOnlyList<ModelScopeFile> files, ModelScopeClient client, RemoteReading reading) : ICheckpointPlace
{
    private readonly Dictionary<string, ModelScopeFile> _files = files
        .Where(file => HubWeights.FolderOf(file.Path) == address.Path)
        .ToDictionary(file => file.Path[(file.Path.LastIndexOf('/') + 1)..], StringComparer.Ordinal);

    /// <inheritdoc/>
    public string Name => address.ToString();

    /// <inheritdoc/>
    public int ParallelOpens => reading.Options.Connections;

    /// <inheritdoc/>
    public string PathOf(string name) => $"{address}/{name}";

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new ValueTask<IReadOnlyList<string>>([.. _files.Keys]);
    }

    /// <inheritdoc/>
    public ValueTask<bool> ExistsAsync(string name, CancellationToken cancellationToken = default) => new(_files.ContainsKey(name));

    /// <inheritdoc/>
    public ValueTask<IByteSource> OpenAsync(string name, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return _files.TryGetValue(name, out var file)
            ? new ValueTask<IByteSource>(new RemoteObjectSource(client.Known(address.Model, address.Revision ?? ModelScopeClient.MainRevision, file), reading, PathOf(name)))
            : throw new FileNotFoundException($"{address}: there is no file {Quoted.Name(name)} here.", PathOf(name));
    }
}
