using System.Runtime.CompilerServices;
using Amazon;
using Amazon.Runtime;
using Amazon.Runtime.Credentials;
using Amazon.S3;
using Amazon.S3.Model;
using IlgpuLoader.Formats;
using SdkRange = Amazon.S3.Model.ByteRange;

namespace IlgpuLoader.Loading;

/// <summary>Asks an object storage, and says what its answers mean. Nothing is asked, and no credentials are looked for, before the first request. Safe for any thread; disposing it ends its connections.</summary>
/// <param name="options">Connections, retries and timeout; retries are the SDK's own, with its backoff and its budget of them.</param>
/// <param name="settings">Where the storage is.</param>
/// <param name="traffic">Where requests and bytes are counted.</param>
/// <param name="time">The clock of bodies.</param>
/// <param name="handler">What sends; null for connections. Disposed here.</param>
internal sealed class S3Client(RemoteOptions options, S3Settings settings, RemoteTraffic traffic, TimeProvider? time = null, HttpMessageHandler? handler = null) : IDisposable
{
    // S3's own largest page.
    private const int PageKeys = 1000;

    private readonly S3Connections _connections = new(options, traffic, handler);
    private readonly SemaphoreSlim _gate = new(1);
    private volatile AmazonS3Client? _sdk;

    /// <summary>Connections, retries and timeout.</summary>
    public RemoteOptions Options { get; } = options;

    /// <summary>Where requests and bytes are counted.</summary>
    public RemoteTraffic Traffic { get; } = traffic;

    /// <summary>The clock of bodies.</summary>
    public TimeProvider Time { get; } = time ?? TimeProvider.System;

    /// <summary>The server, for messages.</summary>
    public string Server { get; } = settings.Endpoint is { } endpoint ? Quoted.Plain(endpoint.GetLeftPart(UriPartial.Authority)) : "Amazon S3";

    /// <summary>Asks for what an object is.</summary>
    /// <exception cref="RemoteException">It is not to be had (<see cref="RemoteFailure.EntryMissing"/> where there is none; a bucket that is missing cannot be told from that).</exception>
    public Task<GetObjectMetadataResponse> HeadAsync(S3Address address, CancellationToken cancellationToken) =>
        AskAsync(address, (sdk, token) => sdk.GetObjectMetadataAsync(new GetObjectMetadataRequest { BucketName = address.Bucket, Key = address.Key }, token), cancellationToken);

    /// <summary>Asks for bytes of an object.</summary>
    /// <returns>The answer, whose body is not read; the caller disposes it.</returns>
    /// <exception cref="RemoteException">They are not to be had; its cause is the SDK's exception.</exception>
    public Task<GetObjectResponse> GetAsync(S3Address address, long offset, long length, string? etag, string? version, CancellationToken cancellationToken) => AskAsync(
        address,
        (sdk, token) => sdk.GetObjectAsync(new GetObjectRequest { BucketName = address.Bucket, Key = address.Key, ByteRange = new SdkRange(offset, offset + length - 1), EtagToMatch = etag, VersionId = version }, token),
        cancellationToken);

    /// <summary>Lists keys in the order of their bytes, page by page.</summary>
    /// <param name="folder">What is listed, for messages; its bucket is asked.</param>
    /// <param name="prefix">What the keys begin with.</param>
    /// <param name="below">Whether keys with a further slash are listed too.</param>
    /// <param name="cancellationToken">Ends the listing.</param>
    /// <exception cref="RemoteException">They cannot be listed.</exception>
    /// <exception cref="CheckpointLimitException">There are more than the settings allow.</exception>
    public async IAsyncEnumerable<string> ListAsync(S3Address folder, string prefix, bool below, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        long seen = 0;
        do
        {
            var request = new ListObjectsV2Request
            {
                BucketName = folder.Bucket,
                Prefix = prefix,
                Delimiter = below ? null : "/",
                MaxKeys = PageKeys,
                ContinuationToken = continuation,
            };
            var page = await AskAsync(folder, (sdk, token) => sdk.ListObjectsV2Async(request, token), cancellationToken).ConfigureAwait(false);
            Traffic.AddBytes(Math.Max(0, page.ContentLength));
            foreach (var item in page.S3Objects ?? [])
            {
                ThrowIfTooMany(++seen);
                yield return item.Key;
            }

            // Pages of folders alone count too, and empty ones: a server that never ends is not followed for ever.
            ThrowIfTooMany(seen += Math.Max(page.CommonPrefixes?.Count ?? 0, page.S3Objects is { Count: > 0 } ? 0 : 1));
            if (page.IsTruncated is not true)
            {
                yield break;
            }

            if (string.IsNullOrEmpty(page.NextContinuationToken) || page.NextContinuationToken == continuation)
            {
                throw new RemoteException(RemoteFailure.Network, folder.ToString(), $"{Server} says that its listing goes on, and not where; is it an object storage?");
            }

            continuation = page.NextContinuationToken;
        }
        while (true);

        void ThrowIfTooMany(long count)
        {
            if (count > settings.MaximumKeys)
            {
                throw new CheckpointLimitException("number of keys below the prefix", count, settings.MaximumKeys, $"{nameof(S3Settings)}.{nameof(S3Settings.MaximumKeys)}", folder.ToString());
            }
        }
    }

    /// <summary>Whether what is in a folder may be listed.</summary>
    /// <exception cref="RemoteException">That cannot be told.</exception>
    public async Task<bool> MayListAsync(S3Address folder, CancellationToken cancellationToken)
    {
        try
        {
            _ = await AskAsync(
                folder, (sdk, token) => sdk.ListObjectsV2Async(new ListObjectsV2Request { BucketName = folder.Bucket, Prefix = folder.Prefix, MaxKeys = 1 }, token), cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (RemoteException failure) when (failure.InnerException is { } answer && S3Failures.IsForbidden(answer))
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sdk?.Dispose();
        _connections.Dispose();
        _gate.Dispose();
    }

    private async Task<T> AskAsync<T>(S3Address address, Func<AmazonS3Client, CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        if (Options.Offline)
        {
            throw new RemoteException(RemoteFailure.Offline, address.ToString(), "the network may not be asked (offline), and an object storage is in no cache; copy it to a folder first.");
        }

        var sdk = _sdk ?? await ConnectAsync(address, cancellationToken).ConfigureAwait(false);
        _connections.BeginRequest();
        try
        {
            return await ask(sdk, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (Exception failure) when (S3Failures.IsFailure(failure))
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw S3Failures.Of(failure, address, Server, Options);
        }
    }

    private async Task<AmazonS3Client> ConnectAsync(S3Address address, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // The chain reads files, and may ask the machine's own service: not on the caller's thread.
            return _sdk ??= await Task.Run(() => MakeAsync(address), cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _ = _gate.Release();
        }
    }

    private async Task<AmazonS3Client> MakeAsync(S3Address address)
    {
        var config = new AmazonS3Config
        {
            HttpClientFactory = _connections,
            RetryMode = RequestRetryMode.Standard,
            MaxErrorRetry = Options.MaximumRetries,
            Timeout = Options.Timeout,
            ForcePathStyle = settings.UsesPathStyle,
            // Ranges have no checksum of S3's, and other servers refuse what asks for one.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            // What it writes has addresses and headers in it.
            DisableLogging = true,
        };
        if (settings.Endpoint is { } endpoint)
        {
            config.ServiceURL = endpoint.AbsoluteUri;
            config.AuthenticationRegion = settings.Region ?? S3Settings.DefaultRegion;
        }
        else if (settings.Region is not null || settings.IsAnonymous)
        {
            // Without a signature nothing has a region; the SDK wants one for the host's name.
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(settings.Region ?? S3Settings.DefaultRegion);
        }

        AWSCredentials credentials;
        try
        {
            credentials = settings.IsAnonymous ? new AnonymousAWSCredentials()
                : settings.Credentials ?? await DefaultAWSCredentialsIdentityResolver.GetCredentialsAsync(config).ConfigureAwait(false);
        }
        catch (AmazonClientException failure)
        {
            throw S3Failures.WithoutCredentials(address, failure);
        }

        try
        {
            return new AmazonS3Client(credentials, config);
        }
        catch (AmazonClientException failure)
        {
            throw new RemoteException(RemoteFailure.Network, address.ToString(), "it is not known in which region the bucket is: set AWS_REGION, or the endpoint (AWS_ENDPOINT_URL_S3).", failure);
        }
    }
}
