using System.Net.Sockets;
using System.Text.Json;

namespace IlgpuLoader.Hosting;

/// <summary>Asks a service from outside how it is: for the health check of a container, in which there is nothing else that could ask.</summary>
public static class HealthProbe
{
    /// <summary>Where a service listens unless it is told otherwise.</summary>
    public const string DefaultUrl = "http://127.0.0.1:5070";

    // How Kestrel has a socket in the file system.
    private const string UnixPrefix = "http://unix:";

    // A model of a service has some hundred bytes in the document; what answers with more is another service.
    private const int MaximumAnswerBytes = 1 << 20;

    /// <summary>Asks once.</summary>
    /// <param name="url">Where the service listens: <c>http://HOST:PORT</c>, <c>https://HOST:PORT</c> or <c>http://unix:/PATH</c>.</param>
    /// <param name="ready">Whether it is asked if it is ready (<c>/readyz</c>), rather than if it lives (<c>/healthz</c>).</param>
    /// <param name="timeout">How long an answer may take, at least a millisecond.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="ArgumentException">The URL is none of these.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; that time ran out is an answer that did not come.</exception>
    public static async Task<HealthAnswer> AskAsync(string url, bool ready, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(url);
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.FromMilliseconds(1));
        var (root, socket) = Read(url);
        var asked = new Uri(root, ready ? "/readyz" : "/healthz");
        // Nobody's proxy stands between a service and whoever asks it from beside.
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false };
        if (socket is not null)
        {
            handler.ConnectCallback = (_, token) => ConnectAsync(socket, token);
        }

        using var client = new HttpClient(handler) { Timeout = timeout, MaxResponseContentBufferSize = MaximumAnswerBytes };
        try
        {
            using var answer = await client.GetAsync(asked, cancellationToken).ConfigureAwait(false);
            var content = await answer.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
            return new HealthAnswer(url, answer.IsSuccessStatusCode, (int)answer.StatusCode, StatusOf(content), Problem: null);
        }
        catch (HttpRequestException exception)
        {
            return new HealthAnswer(url, IsHealthy: false, StatusCode: null, Status: null, exception.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new HealthAnswer(url, IsHealthy: false, StatusCode: null, Status: null, FormattableString.Invariant($"There was no answer within {timeout.TotalSeconds:0.###} s."));
        }
    }

    private static (Uri Root, string? Socket) Read(string url)
    {
        if (url.StartsWith(UnixPrefix, StringComparison.OrdinalIgnoreCase))
        {
            if (url[UnixPrefix.Length..] is ['/', _, ..] path)
            {
                // The name is only for the header; a service on a socket is this machine's.
                return (new Uri("http://localhost"), path);
            }
        }
        else if (Uri.TryCreate(url, UriKind.Absolute, out var root) && (root.Scheme == Uri.UriSchemeHttp || root.Scheme == Uri.UriSchemeHttps)
            && root is { Host.Length: > 0, PathAndQuery: "/", Fragment: "", UserInfo: "" })
        {
            return (root, null);
        }

        throw new ArgumentException($"'{url}' is no address of a service, such as {DefaultUrl} or {UnixPrefix}/run/ilgpu-loader.sock.", nameof(url));
    }

    private static async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // What is at the address may be another program: its answer is a status code then, and no more.
    private static string? StatusOf(byte[] content)
    {
        try
        {
            using var document = JsonDocument.Parse(content);
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("status", out var status) && status.ValueKind == JsonValueKind.String
                    ? status.GetString()
                    : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
