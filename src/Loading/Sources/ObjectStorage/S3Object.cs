using System.Globalization;
using System.Net;
using Amazon.S3;
using Amazon.S3.Model;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>An object of a storage, pinned to its ETag, and to its version where the bucket keeps versions. Safe for any thread.</summary>
internal sealed class S3Object : IRemoteObject
{
    // What a bucket without versions calls its only one, which is replaced in place.
    private const string NoVersion = "null";

    private readonly S3Client _client;
    private readonly S3Address _address;
    private readonly string? _etag;
    private readonly string? _version;

    private S3Object(S3Client client, S3Address address, GetObjectMetadataResponse head)
    {
        (_client, _address) = (client, address);
        (_etag, _version) = (string.IsNullOrEmpty(head.ETag) ? null : head.ETag, string.IsNullOrEmpty(head.VersionId) || head.VersionId == NoVersion ? null : head.VersionId);
        Length = head.ContentLength;
    }

    /// <inheritdoc/>
    public string Name => _address.ToString();

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool TakesRanges => true;

    /// <summary>Opens an object: its size and what pins it are asked for, nothing of its content.</summary>
    /// <param name="client">The storage; stays the caller's.</param>
    /// <param name="address">The object.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="RemoteException">It is not to be had.</exception>
    public static async Task<S3Object> OpenAsync(S3Client client, S3Address address, CancellationToken cancellationToken)
    {
        var head = await client.HeadAsync(address, cancellationToken).ConfigureAwait(false);
        return head.ContentLength >= 0
            ? new S3Object(client, address, head)
            : throw new RemoteException(RemoteFailure.Network, address.ToString(), $"{client.Server} does not say how long the object is; is it an object storage?");
    }

    /// <inheritdoc/>
    public async Task<Stream> OpenRangeAsync(long offset, long length, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length - offset);
        if (length == 0)
        {
            return Stream.Null;
        }

        GetObjectResponse response;
        try
        {
            response = await _client.GetAsync(_address, offset, length, _etag, _version, cancellationToken).ConfigureAwait(false);
        }
        catch (RemoteException failure) when (failure.InnerException is AmazonS3Exception { StatusCode: HttpStatusCode.PreconditionFailed or HttpStatusCode.RequestedRangeNotSatisfiable })
        {
            throw await ChangedAsync(failure, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            Check(response, offset, length);
            return new RemoteBody(response, response.ResponseStream, length, endsItself: true, Name, _client.Options, _client.Time, _client.Traffic);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    // Servers that know no If-Match answer all the same, and say of what.
    private void Check(GetObjectResponse response, long offset, long length)
    {
        if (_etag is not null && response.ETag != _etag)
        {
            throw Changed(string.IsNullOrEmpty(response.ETag) ? "none" : Quoted.Plain(response.ETag), null);
        }

        var (expected, actual) = (string.Create(CultureInfo.InvariantCulture, $"bytes {offset}-{offset + length - 1}/"), response.ContentRange ?? "");
        var isWhole = length == Length && response.HttpStatusCode == HttpStatusCode.OK;
        if (response.ContentLength != length || !(isWhole || actual.StartsWith(expected, StringComparison.Ordinal)))
        {
            throw new RemoteException(
                RemoteFailure.Network,
                Name,
                $"{_client.Server} was asked for the {length} bytes from {offset} on, and answers with {response.ContentLength} ({Quoted.Name(actual)}): it does not keep to ranges; copy the file to a folder first.");
        }

        if (!isWhole && actual[expected.Length..] is not "*" and var total && total != Length.ToString(CultureInfo.InvariantCulture))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.FileChanged, Name, $"it had {Length} bytes when it was opened, and has {Quoted.Plain(total)} now: it was replaced; load it again.");
        }
    }

    // A refusal does not say what is there now.
    private async Task<InvalidCheckpointException> ChangedAsync(RemoteException refusal, CancellationToken cancellationToken)
    {
        try
        {
            var now = await _client.HeadAsync(_address, cancellationToken).ConfigureAwait(false);
            return Changed(string.IsNullOrEmpty(now.ETag) ? "none" : Quoted.Plain(now.ETag), refusal);
        }
        catch (RemoteException)
        {
            return Changed("another, or none", refusal);
        }
    }

    private InvalidCheckpointException Changed(string now, Exception? refusal) => new(
        CheckpointErrorCode.FileChanged,
        Name,
        $"its ETag was {(_etag is null ? "none" : Quoted.Plain(_etag))} when it was opened, and is {now} now: it was replaced while it was read; load it again.",
        innerException: refusal);
}
