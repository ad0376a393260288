using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Finds objects by patterns of their keys, as vLLM's <c>s3_glob</c> does: all that lies below a prefix, also deeper. Safe for any thread; disposing it ends its connections.
/// </summary>
/// <remarks>vLLM asks for one page of at most 1000 keys; here all pages are read, up to <see cref="S3Settings.MaximumKeys"/>.</remarks>
public sealed class S3Glob : IDisposable
{
    // What programs that show folders write in their place.
    private const string Folders = "*/";

    private readonly S3Client _client;

    /// <summary>Makes it; nothing is asked yet.</summary>
    /// <param name="options">Where the storage is, and how it is asked; null for the defaults, and what the environment says.</param>
    /// <exception cref="ArgumentException">The environment's endpoint is no address.</exception>
    public S3Glob(RemoteOptions? options = null)
        : this(new S3Client(options ?? RemoteOptions.Default, options?.S3 ?? S3Settings.FromEnvironment(), new RemoteTraffic()))
    {
    }

    internal S3Glob(S3Client client) => _client = client;

    /// <summary>What was fetched.</summary>
    public RemoteTraffic Traffic => _client.Traffic;

    /// <summary>Lists what lies below a prefix and fits.</summary>
    /// <param name="address">The prefix (<c>s3://bucket/prefix</c>), which is a folder: of <c>s3://bucket/a</c>, what begins with <c>a/</c>.</param>
    /// <param name="allowPatterns">
    /// Patterns of which one must fit the whole key (not its last part alone: <c>*.safetensors</c> fits at any depth), as Python's <c>fnmatch</c> reads them where capitals count; null for every key. An empty list lets none through.
    /// </param>
    /// <param name="ignorePatterns">Patterns of which none may fit; they win. Null for none.</param>
    /// <param name="cancellationToken">Ends the listing.</param>
    /// <returns>The addresses, in the order of the keys' bytes; none where nothing fits. Keys that end with a slash are no files, and what has parts such as <c>..</c> or control characters is no address.</returns>
    /// <exception cref="ArgumentException">It is no address of an object storage.</exception>
    /// <exception cref="RemoteException">The bucket is missing, or cannot be listed.</exception>
    /// <exception cref="CheckpointLimitException">There are more keys than the settings allow.</exception>
    public async Task<IReadOnlyList<string>> GlobAsync(
        string address, IEnumerable<string>? allowPatterns = null, IEnumerable<string>? ignorePatterns = null, CancellationToken cancellationToken = default)
    {
        var folder = S3Address.Parse(address);
        string[]? allow = allowPatterns is null ? null : [.. allowPatterns];
        string[] ignore = [.. ignorePatterns ?? [], Folders];
        var found = new List<string>();
        await foreach (var key in _client.ListAsync(folder, folder.Prefix, below: true, cancellationToken).ConfigureAwait(false))
        {
            if (S3Address.IsKey(key) && allow?.Any(pattern => FilePattern.Matches(pattern, key)) != false && !ignore.Any(pattern => FilePattern.Matches(pattern, key)))
            {
                found.Add($"{S3Address.Scheme}://{folder.Bucket}/{key}");
            }
        }

        return found;
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();
}
