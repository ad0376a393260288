using Amazon.Runtime;

namespace IlgpuLoader.Loading;

/// <summary>The connections of the SDK: one client for all requests, which are counted. Disposing it ends them. Safe for any thread.</summary>
internal sealed class S3Connections : HttpClientFactory, IDisposable
{
    private readonly HttpClient _client;

    /// <summary>Makes them.</summary>
    /// <param name="options">How many, and how long an answer may take.</param>
    /// <param name="traffic">Where requests are counted.</param>
    /// <param name="handler">What sends; tests have their own. Null for connections.</param>
    public S3Connections(RemoteOptions options, RemoteTraffic traffic, HttpMessageHandler? handler = null)
    {
        handler ??= new SocketsHttpHandler
        {
            MaxConnectionsPerServer = options.Connections,
            ConnectTimeout = options.Timeout,
            // The SDK follows what S3 redirects, and signs anew; nobody else's redirect is followed.
            AllowAutoRedirect = false,
            // Names of storages change their addresses within minutes.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        };
        // Until the answer's headers: bodies have a clock of their own.
        _client = new HttpClient(new CountingHandler(handler, traffic)) { Timeout = options.Timeout };
    }

    /// <inheritdoc/>
    public override HttpClient CreateHttpClient(IClientConfig clientConfig) => _client;

    /// <inheritdoc/>
    public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private sealed class CountingHandler(HttpMessageHandler inner, RemoteTraffic traffic) : DelegatingHandler(inner)
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            traffic.AddRequest();
            return base.SendAsync(request, cancellationToken);
        }
    }
}
