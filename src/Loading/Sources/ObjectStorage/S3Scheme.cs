using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Finds checkpoints in object storages: a key is a file, a prefix a folder. Safe for any thread.</summary>
/// <param name="client">The storage; stays the caller's.</param>
/// <param name="reading">Reads ranges; stays the caller's too.</param>
internal sealed class S3Scheme(S3Client client, RemoteReading reading) : IRemoteScheme
{
    /// <inheritdoc/>
    public IReadOnlyList<string> Schemes { get; } = [S3Address.Scheme];

    /// <inheritdoc/>
    public string Form => S3Address.Form;

    /// <inheritdoc/>
    public async ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken)
    {
        var found = S3Address.Parse(address);
        // What ends with a slash is no file.
        if (found.Key.Length > 0 && !address.EndsWith('/') && await IsObjectAsync(found, cancellationToken).ConfigureAwait(false))
        {
            return new CheckpointLocation(new S3Place(client, reading, found.Folder), found.Name);
        }

        await foreach (var _ in client.ListAsync(found, found.Prefix, below: true, cancellationToken).ConfigureAwait(false))
        {
            return new CheckpointLocation(new S3Place(client, reading, found), null);
        }

        throw new RemoteException(
            RemoteFailure.EntryMissing, found.ToString(), $"there is no object of this key at {client.Server}, and none below it: are bucket and prefix right? Capitals count.");
    }

    private async Task<bool> IsObjectAsync(S3Address address, CancellationToken cancellationToken)
    {
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
            // Some policies let folders be listed and not be asked for.
            if (!await client.MayListAsync(address, cancellationToken).ConfigureAwait(false))
            {
                throw;
            }

            return false;
        }
    }
}
