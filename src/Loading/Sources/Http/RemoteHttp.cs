using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Reflection;
using System.Security.Authentication;
using IlgpuLoader.Formats;
using Polly;

namespace IlgpuLoader.Loading;

/// <summary>
/// Sends requests over HTTP: follows redirects within limits, tries again what may pass, and gives a token to nobody but the host that it is for. Owns the connections. Safe for any thread.
/// </summary>
internal sealed class RemoteHttp : IDisposable
{
    // In KiB. Kestrel takes 32 KiB and nginx 8 KiB of a request; signed redirects have about 2 KiB.
    private const int MaximumHeaderKilobytes = 64;

    // What is left of a body is read to keep its connection only where it is short; a body that was closed early is not downloaded for that.
    private const int MaximumDrainedBytes = 64 << 10;

    private static readonly string Version =
        (typeof(RemoteHttp).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0").Split('+')[0];

    private static readonly HttpRequestOptionsKey<bool> WithoutSecrets = new("ilgpu-loader.without-secrets");

    private readonly HttpMessageInvoker _invoker;
    private readonly ResiliencePipeline<Attempt> _retries;

    /// <summary>Connects to nothing yet.</summary>
    /// <param name="options">Limits and retries.</param>
    /// <param name="traffic">Where requests are counted, and bytes of bodies by who reads them.</param>
    /// <param name="time">The clock of timeouts and of the waits before retries.</param>
    public RemoteHttp(RemoteOptions options, RemoteTraffic traffic, TimeProvider time)
    {
        (Options, Traffic, Time) = (options, traffic, time);
#pragma warning disable CA2000 // The invoker disposes it.
        _invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            ConnectTimeout = options.Timeout,
            MaxResponseHeadersLength = MaximumHeaderKilobytes,
            MaxResponseDrainSize = MaximumDrainedBytes,
            // Bodies have turns, as many as there are connections. What is sent beside them must not wait for a connection: waiting would count as silence.
            MaxConnectionsPerServer = (2 * options.Connections) + 8,
            // Names of storage services change their addresses within minutes.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        });
#pragma warning restore CA2000
        _retries = RemoteRetry.Create<Attempt>(options, time, attempt => attempt.IsTransient, attempt => (RemoteName.Of(attempt.Address), Describe(attempt)), attempt => attempt.ServerDelay(time));
    }

    /// <summary>Limits and retries.</summary>
    public RemoteOptions Options { get; }

    /// <summary>Where requests and bytes are counted.</summary>
    public RemoteTraffic Traffic { get; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; }

    /// <summary>Sends a request and gives the final response, its headers read and its body not.</summary>
    /// <param name="request">The request.</param>
    /// <param name="cancellationToken">Ends the sending and the waits.</param>
    /// <returns>
    /// The response of whatever status is no redirect and no reason to try again, 401 and 404 among them; the caller disposes it. Its <see cref="HttpResponseMessage.RequestMessage"/> has the address that answered.
    /// </returns>
    /// <exception cref="ArgumentException">The address is of another scheme, or carries a user.</exception>
    /// <exception cref="RemoteException">
    /// The network may not be asked (<see cref="RemoteFailure.Offline"/>); the server cannot be reached or goes on failing, its headers are too long, or redirects do not end (<see cref="RemoteFailure.Network"/>); a redirect leads where it must not (<see cref="RemoteFailure.Unsafe"/>).
    /// </exception>
    public async Task<HttpResponseMessage> SendAsync(RemoteRequest request, CancellationToken cancellationToken)
    {
        ThrowIfNotAddress(request.Address);
        if (Options.Offline)
        {
            throw new RemoteException(
                RemoteFailure.Offline, RemoteName.Of(request.Address), "the network may not be asked (offline), and it is in no cache; download it first, or allow the network (HF_HUB_OFFLINE=0).");
        }

        var address = request.Address;
        var isSecretKept = true;
        for (var redirects = 0; ; redirects++)
        {
            // What a foreign host answers must not bring the token back either.
            isSecretKept &= RemoteName.IsSameOrigin(address, request.Address);
            var response = await SendToAsync(request, address, isSecretKept, cancellationToken).ConfigureAwait(false);
            try
            {
                if (!IsRedirect(response))
                {
                    return response;
                }

                var next = RedirectOf(response);
                if (!request.FollowsToOtherHosts && (!IsSameHost(address, next) || (request.IsAnswer(response) && !IsRelative(response))))
                {
                    return response;
                }

                if (redirects >= Options.MaximumRedirects)
                {
                    throw new RemoteException(
                        RemoteFailure.Network, RemoteName.Of(request.Address), $"it redirects more than {Options.MaximumRedirects} times, last to {RemoteName.Of(next)}. Is it a loop?");
                }

                address = next;
            }
            catch
            {
                response.Dispose();
                throw;
            }

            response.Dispose();
        }
    }

    /// <summary>Where a redirect leads.</summary>
    /// <param name="response">A response with a status of a redirect.</param>
    /// <exception cref="RemoteException">It leads nowhere, or where it must not: to another scheme, from <c>https</c> to <c>http</c>, or to an address with a user.</exception>
    public static Uri RedirectOf(HttpResponseMessage response)
    {
        var from = response.RequestMessage!.RequestUri!;
        // The text as it came: a location that begins with a slash would be parsed as a file here.
        if (!response.Headers.NonValidated.TryGetValues("Location", out var values) || values.ToString() is not { Length: > 0 } location)
        {
            throw new RemoteException(RemoteFailure.Network, RemoteName.Of(from), $"it answers {Describe(response)} without a Location.");
        }

        if (!Uri.TryCreate(from, location, out var next))
        {
            throw new RemoteException(RemoteFailure.Network, RemoteName.Of(from), "it redirects to what is no address.");
        }

        var refused = !IsHttp(next) ? $"to the scheme {Quoted.Name(next.Scheme)}"
            : from.Scheme == Uri.UriSchemeHttps && next.Scheme == Uri.UriSchemeHttp ? "from https to http"
            : next.UserInfo.Length > 0 ? "to an address with a user in it"
            : null;
        return refused is null
            ? next
            : throw new RemoteException(RemoteFailure.Unsafe, RemoteName.Of(from), $"it redirects {refused}, which is not followed.");
    }

    /// <summary>Whether a response is a redirect that a GET or HEAD follows.</summary>
    public static bool IsRedirect(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;

    /// <summary>Whether a redirect names its target without a host.</summary>
    private static bool IsRelative(HttpResponseMessage response) =>
        response.Headers.NonValidated["Location"].ToString() is var location && !location.StartsWith("//", StringComparison.Ordinal) && location.IndexOf(':') is var colon && (colon < 0 || location.AsSpan(0, colon).IndexOfAny('/', '?', '#') >= 0);

    /// <summary>Whether a redirect led to another host on the way to a response, whose own address may be of the first host again: who asks there must not bring the secrets either.</summary>
    public static bool CameThroughOtherHost(HttpResponseMessage response) => response.RequestMessage!.Options.TryGetValue(WithoutSecrets, out var isWithout) && isWithout;

    /// <summary>The status of a response for messages, such as <c>404 Not Found</c>.</summary>
    public static string Describe(HttpResponseMessage response) =>
        Quoted.Plain($"{((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)} {response.ReasonPhrase}".TrimEnd());

    /// <summary>Refuses what is no address of HTTP, and one that carries a user.</summary>
    /// <exception cref="ArgumentException">It is such.</exception>
    public static void ThrowIfNotAddress(Uri address)
    {
        if (!address.IsAbsoluteUri || !IsHttp(address))
        {
            throw new ArgumentException($"{Quoted.Name(address.IsAbsoluteUri ? RemoteName.Of(address) : address.OriginalString)} is no address of https or http.", nameof(address));
        }

        if (address.UserInfo.Length > 0)
        {
            throw new ArgumentException($"{RemoteName.Of(address)} was given with a user or a password in it, which would end up in histories and logs; leave them out.", nameof(address));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _invoker.Dispose();

    private static bool IsHttp(Uri address) => address.Scheme == Uri.UriSchemeHttps || address.Scheme == Uri.UriSchemeHttp;

    // A redirect from http to https of a host stays there, whatever the port.
    private static bool IsSameHost(Uri one, Uri other) =>
        string.Equals(one.IdnHost, other.IdnHost, StringComparison.OrdinalIgnoreCase) && (one.Port == other.Port || one.Scheme != other.Scheme);

    private async Task<HttpResponseMessage> SendToAsync(RemoteRequest request, Uri address, bool withSecrets, CancellationToken cancellationToken)
    {
        var tries = 0;
        var last = await _retries.ExecuteAsync(
            async token =>
            {
                tries++;
                return await TrySendAsync(request, address, withSecrets, token).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        if (!last.IsTransient)
        {
            return last.Response!;
        }

        using (last)
        {
            throw new RemoteException(
                RemoteFailure.Network,
                RemoteName.Of(address),
                $"{Describe(last).TrimEnd('.')}, {(tries == 1 ? "at the only try" : $"also at try {tries.ToString(CultureInfo.InvariantCulture)}")}. {Advice(last)}",
                last.Failure);
        }
    }

    // What may pass is a result; what ends it all is thrown.
    private async ValueTask<Attempt> TrySendAsync(RemoteRequest request, Uri address, bool withSecrets, CancellationToken cancellationToken)
    {
        using var message = Compose(request, address, withSecrets);
        using var silence = new CancellationTokenSource(Options.Timeout, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        try
        {
            Traffic.AddRequest();
            var response = await _invoker.SendAsync(message, either.Token).ConfigureAwait(false);
            return new Attempt(address, response, null, IsTransient(response.StatusCode));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Its own timeout, or that of connecting.
            return new Attempt(address, null, null, true);
        }
        catch (HttpRequestException failure) when (IsTransient(failure))
        {
            return new Attempt(address, null, failure, true);
        }
        catch (HttpRequestException failure)
        {
            var problem = failure.HttpRequestError == HttpRequestError.ConfigurationLimitExceeded
                ? $"the headers of its answer have more than {MaximumHeaderKilobytes} KiB. Is this the right server?"
                : $"{Quoted.Plain(failure.Message).TrimEnd('.')}. Is the address right?";
            throw new RemoteException(RemoteFailure.Network, RemoteName.Of(address), problem, failure);
        }
    }

    private string Describe(Attempt attempt) =>
        attempt.Response is { } response ? $"the server answers {Describe(response)}"
        : attempt.Failure is { } failure ? failure.Message
        : $"nothing came for {Options.Timeout.TotalSeconds:0.###} s";

    private static string Advice(Attempt attempt) => attempt.Response?.StatusCode switch
    {
        null => "Is the server there, and is the network?",
        HttpStatusCode.TooManyRequests => "Try again later, or with fewer connections.",
        _ => "Try again later.",
    };

    private static HttpRequestMessage Compose(RemoteRequest request, Uri address, bool withSecrets)
    {
        // HTTP/1.1: each range has a connection of its own, where HTTP/2 would put all of them on one and share its window.
        var message = new HttpRequestMessage(request.Method, address) { Version = HttpVersion.Version11 };
        message.Headers.UserAgent.Add(new ProductInfoHeaderValue("ilgpu-loader", Version));
        // Ranges and lengths of something compressed are not those of the file.
        message.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
        if (request.Range is var (offset, length))
        {
            message.Headers.Range = new RangeHeaderValue(offset, checked(offset + length - 1));
            if (request.IfRange is { } validator)
            {
                _ = message.Headers.TryAddWithoutValidation("If-Range", validator);
            }
        }

        message.Options.Set(WithoutSecrets, !withSecrets);
        if (withSecrets)
        {
            if (request.Token is { } token)
            {
                message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }

            foreach (var (name, value) in request.SecretHeaders)
            {
                _ = message.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return message;
    }

    // A server that does not implement a method, or the version, will not do so at the next try either.
    private static bool IsTransient(HttpStatusCode status) =>
        status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests
        || ((int)status >= 500 && status is not (HttpStatusCode.NotImplemented or HttpStatusCode.HttpVersionNotSupported));

    // Connections that are refused or cut. Neither a name that nobody has nor a certificate that is wrong comes right by itself.
    private static bool IsTransient(HttpRequestException failure) => failure.HttpRequestError switch
    {
        HttpRequestError.ConnectionError or HttpRequestError.ResponseEnded or HttpRequestError.ProxyTunnelError => true,
        HttpRequestError.NameResolutionError => failure.InnerException is SocketException { SocketErrorCode: SocketError.TryAgain },
        HttpRequestError.SecureConnectionError => failure.InnerException is not AuthenticationException,
        HttpRequestError.Unknown => failure.InnerException is IOException,
        _ => false,
    };

    [SuppressMessage("Performance", "CA1812:Avoid uninstantiated internal classes", Justification = "It is instantiated above.")]
    private sealed record Attempt(Uri Address, HttpResponseMessage? Response, Exception? Failure, bool IsTransient) : IDisposable
    {
        public TimeSpan? ServerDelay(TimeProvider time) => Response?.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - time.GetUtcNow(),
            _ => null,
        };

        public void Dispose() => Response?.Dispose();
    }
}
