using System.Collections.Concurrent;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Logging.Abstractions;

namespace IlgpuLoader.Loading;

/// <summary>
/// A folder on an HTTP server, which lists nothing: files are found by their names. What may not be seen counts as not there, as servers say the one for the other. Safe for any thread.
/// </summary>
/// <param name="http">Sends the requests.</param>
/// <param name="reading">Reads ranges.</param>
/// <param name="folder">The folder's address, with a slash at its end.</param>
/// <param name="given">The file whose address was given; null for none.</param>
/// <param name="givenAddress">That address with its query, which is for this file alone: it may be its signature.</param>
internal sealed class HttpPlace(RemoteHttp http, RemoteReading reading, Uri folder, string? given, Uri? givenAddress) : ICheckpointPlace
{
    // The names that transformers, diffusers, PEFT and Mistral give to what they write.
    private static readonly string[] WellKnown =
    [
        "model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin",
        "diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.safetensors", "adapter_model.safetensors",
        "consolidated.safetensors", "consolidated.00.pth", "model.gguf", ModelConfig.FileName,
    ];

    // Files that were found, which costs the request that opening would: the next opening takes them.
    private readonly ConcurrentDictionary<string, HttpObject> _found = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public string Name { get; } = RemoteName.Of(folder);

    /// <inheritdoc/>
    public int ParallelOpens => reading.Options.Connections;

    /// <inheritdoc/>
    public bool ListsAll => false;

    /// <inheritdoc/>
    public string PathOf(string name) => Name + Quoted.Plain(name);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken = default)
    {
        var isThere = new bool[WellKnown.Length];
        await Parallel.ForAsync(
            0,
            isThere.Length,
            new ParallelOptions { MaxDegreeOfParallelism = ParallelOpens, CancellationToken = cancellationToken },
            async (i, token) => isThere[i] = await ExistsAsync(WellKnown[i], token).ConfigureAwait(false)).ConfigureAwait(false);
        string[] names = [.. WellKnown.Where((_, i) => isThere[i])];
        return names.Any(name => name != ModelConfig.FileName)
            ? names
            : throw new FileNotFoundException(
                $"{Name}: HTTP lists no files, and there is none of the usual names here ({string.Join(", ", WellKnown)}); give the address of the file of weights, or of its index.");
    }

    /// <inheritdoc/>
    public async ValueTask<bool> ExistsAsync(string name, CancellationToken cancellationToken = default)
    {
        if (_found.ContainsKey(name))
        {
            return true;
        }

        try
        {
            _found[name] = await FindAsync(name, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (RemoteException missing) when (missing.Failure is RemoteFailure.EntryMissing or RemoteFailure.Unauthorized)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="RemoteException">It may not be read, its server cannot be asked, or its name is none.</exception>
    public async ValueTask<IByteSource> OpenAsync(string name, CancellationToken cancellationToken = default)
    {
        try
        {
            var file = _found.TryRemove(name, out var found) ? found : await FindAsync(name, cancellationToken).ConfigureAwait(false);
            if (!file.IsPinned && file.Length > 0)
            {
                RemoteLog.NotPinned(reading.Options.Logger ?? NullLogger.Instance, PathOf(name));
            }

            return RemoteObjectSource.Over(file, reading, PathOf(name));
        }
        catch (RemoteException missing) when (missing.Failure == RemoteFailure.EntryMissing)
        {
            throw new FileNotFoundException($"{missing.Message} The address of a folder ends with a slash.", PathOf(name), missing);
        }
    }

    private Task<HttpObject> FindAsync(string name, CancellationToken cancellationToken)
    {
        RemoteFileName.ThrowIfUnsafe(name, Name);
        var address = name == given ? givenAddress! : new Uri(folder, "./" + Uri.EscapeDataString(name));
        return HttpObject.OpenAsync(http, new RemoteRequest(HttpMethod.Get, address), cancellationToken);
    }
}
