using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A prefix of an object storage as a folder: its files are the keys directly below it. Nothing is written anywhere. Safe for any thread.</summary>
/// <param name="client">The storage; stays the caller's, and is there as long as what was opened here.</param>
/// <param name="reading">Reads ranges; stays the caller's too.</param>
/// <param name="folder">The prefix.</param>
internal sealed class S3Place(S3Client client, RemoteReading reading, S3Address folder) : ICheckpointPlace
{
    // The last listing: a folder of a hundred shards is not asked for each of them.
    private volatile HashSet<string>? _listed;

    /// <inheritdoc/>
    public string Name => folder.ToString();

    /// <inheritdoc/>
    public int ParallelOpens => client.Options.Connections;

    /// <inheritdoc/>
    public string PathOf(string name) => folder.Of(name).ToString();

    /// <inheritdoc/>
    /// <remarks>Keys that cannot be files' names, such as <c>..</c> or what has control characters, are not among them: nothing of this library writes such.</remarks>
    public async ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken = default)
    {
        var names = new List<string>();
        await foreach (var key in client.ListAsync(folder, folder.Prefix, below: false, cancellationToken).ConfigureAwait(false))
        {
            if (key.StartsWith(folder.Prefix, StringComparison.Ordinal) && S3Address.IsName(key[folder.Prefix.Length..]))
            {
                names.Add(key[folder.Prefix.Length..]);
            }
        }

        _listed = names.ToHashSet(StringComparer.Ordinal);
        return names;
    }

    /// <inheritdoc/>
    /// <remarks>Where the folder was listed, that says it, as it was then.</remarks>
    public async ValueTask<bool> ExistsAsync(string name, CancellationToken cancellationToken = default)
    {
        var address = Of(name);
        if (_listed is { } listed)
        {
            return listed.Contains(name);
        }

        try
        {
            _ = await client.HeadAsync(address, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (RemoteException failure) when (failure.Failure == RemoteFailure.EntryMissing)
        {
            return false;
        }
        catch (RemoteException failure) when (failure.InnerException is { } answer && S3Failures.IsForbidden(answer))
        {
            // S3 refuses what is missing too, where the bucket may not be listed. What may be listed says it; of the rest nothing can be read in any case.
            if (await client.MayListAsync(folder, cancellationToken).ConfigureAwait(false))
            {
                throw;
            }

            return false;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IByteSource> OpenAsync(string name, CancellationToken cancellationToken = default)
    {
        try
        {
            return new RemoteObjectSource(await S3Object.OpenAsync(client, Of(name), cancellationToken).ConfigureAwait(false), reading);
        }
        catch (RemoteException missing) when (missing.Failure == RemoteFailure.EntryMissing)
        {
            throw new FileNotFoundException(missing.Message, PathOf(name), missing);
        }
    }

    private S3Address Of(string name) => S3Address.IsName(name)
        ? folder.Of(name)
        : throw new RemoteException(RemoteFailure.Unsafe, folder.ToString(), $"{Quoted.Name(name)} is no name of a file in this folder, and is not asked for.");
}
