using System.Runtime.CompilerServices;
using Amazon.Runtime;

namespace IlgpuLoader.Loading;

/// <summary>The connections of the SDK: one client for all requests, which are counted, and whose redirects are held to Amazon. Disposing it ends them. Safe for any thread.</summary>
internal sealed class S3Connections : HttpClientFactory, IDisposable
{
    // A page of 1000 keys of 1024 bytes has less than 7 MiB, were each byte an escape of XML.
    private const int MaximumAnswerBytes = 16 << 20;

    // How many redirects the request at hand has left.
    private readonly AsyncLocal<StrongBox<int>?> _redirects = new();
    private readonly int _maximumRedirects;
    private readonly HttpClient _client;

    /// <summary>Makes them.</summary>
    /// <param name="options">How many, and how long an answer may take.</param>
    /// <param name="traffic">Where requests are counted.</param>
    /// <param name="handler">What sends; tests have their own. Null for connections.</param>
    public S3Connections(RemoteOptions options, RemoteTraffic traffic, HttpMessageHandler? handler = null)
    {
        handler ??= new SocketsHttpHandler
        {
            // Bodies have turns, as many as there are connections. What is sent beside them must not wait for a connection: waiting would count as silence.
            MaxConnectionsPerServer = (2 * options.Connections) + 8,
            ConnectTimeout = options.Timeout,
            UseCookies = false,
            // The SDK follows redirects itself, and signs anew: it is left those within Amazon alone.
            AllowAutoRedirect = false,
            // Names of storages change their addresses within minutes.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        };
        // Until the headers of an object's bytes, which have a clock of their own, and until the end of any other answer.
        _client = new HttpClient(new AnswerHandler(handler, traffic, _redirects)) { Timeout = options.Timeout };
        _maximumRedirects = options.MaximumRedirects;
    }

    /// <summary>Begins a request of the caller's, with all its redirects: the SDK itself counts none.</summary>
    public void BeginRequest() => _redirects.Value = new StrongBox<int>(_maximumRedirects);

    /// <inheritdoc/>
    public override HttpClient CreateHttpClient(IClientConfig clientConfig) => _client;

    /// <inheritdoc/>
    public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private sealed class AnswerHandler(HttpMessageHandler inner, RemoteTraffic traffic, AsyncLocal<StrongBox<int>?> redirects) : DelegatingHandler(inner)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            traffic.AddRequest();
            var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            try
            {
                if (response.Headers.Contains("Location") && !MayFollow(request.RequestUri!, response.Headers.Location))
                {
                    // Without it the SDK takes the redirect for the refusal that it is then.
                    _ = response.Headers.Remove("Location");
                }

                if (request.Method != HttpMethod.Head && !IsObject(request, response))
                {
                    // Here and not in the SDK, so that an answer that stalls ends with the client's timeout.
                    await response.Content.LoadIntoBufferAsync(MaximumAnswerBytes, cancellationToken).ConfigureAwait(false);
                }

                return response;
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }

        private static bool IsObject(HttpRequestMessage request, HttpResponseMessage response) =>
            response.IsSuccessStatusCode && !request.RequestUri!.Query.Contains("list-type=", StringComparison.Ordinal);

        // The SDK sends the same path again, with a signature for whatever host it is told. Amazon does so with buckets that are new; within one host it would be a loop.
        private bool MayFollow(Uri from, Uri? to) =>
            to is { IsAbsoluteUri: true } && IsAmazon(from) && IsAmazon(to) && !RemoteName.IsSameOrigin(from, to) && redirects.Value is { } left && left.Value-- > 0;

        private static bool IsAmazon(Uri address) =>
            address.Scheme == Uri.UriSchemeHttps && address.IsDefaultPort && address.IdnHost.EndsWith(".amazonaws.com", StringComparison.OrdinalIgnoreCase);
    }
}
