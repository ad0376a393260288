using System.Globalization;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Reads the JSON that a service answers, of a bounded size.</summary>
internal static class RemoteJson
{
    /// <summary>The most bytes of an answer: a description of 100,000 files, the most that the Hub recommends, has about 8 MB.</summary>
    public const int MaximumBytes = 64 << 20;

    /// <summary>The most files of a repository: ten times what the Hub recommends.</summary>
    public const int MaximumFiles = 1_000_000;

    /// <summary>The most bytes of a file, 8 TiB: the Hub takes files of 500 GB, and the sum over <see cref="MaximumFiles"/> stays within 64 bits.</summary>
    public const long MaximumFileBytes = 1L << 43;

    /// <summary>Refuses a size that no file has.</summary>
    /// <param name="length">The size in bytes.</param>
    /// <param name="path">The file.</param>
    /// <param name="name">Who says so, for the message.</param>
    /// <exception cref="RemoteException">It is more than <see cref="MaximumFileBytes"/>.</exception>
    public static void CheckLength(long length, string path, string name)
    {
        if (length > MaximumFileBytes)
        {
            throw new RemoteException(
                RemoteFailure.Network, name, string.Create(CultureInfo.InvariantCulture, $"{Quoted.Name(path)} is said to have {length} bytes, and at most {MaximumFileBytes} are taken. Nothing was written."));
        }
    }

    /// <summary>Asks for a document.</summary>
    /// <param name="http">Sends the requests.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="refusal">What a status that is no success means.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="RemoteException">It is not to be had, or is no JSON.</exception>
    public static async Task<JsonDocument> ReadAsync(RemoteHttp http, RemoteRequest request, Func<HttpResponseMessage, RemoteException> refusal, CancellationToken cancellationToken)
    {
        for (var failures = 0; ; failures++)
        {
            using var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
            {
                throw refusal(response);
            }

            var name = RemoteName.Of(request.Address);
            var (bytes, cut) = await ReadBodyAsync(response, http, name, cancellationToken).ConfigureAwait(false);
            if (cut is null)
            {
                return Parse(bytes, name);
            }

            if (failures >= http.Options.MaximumRetries)
            {
                throw cut;
            }
        }
    }

    /// <summary>The string of a property; null where there is none.</summary>
    public static string? Text(this JsonElement element, string property) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static async Task<(byte[] Bytes, RemoteException? Cut)> ReadBodyAsync(HttpResponseMessage response, RemoteHttp http, string name, CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(http.Options.Timeout, http.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        try
        {
            var body = await response.Content.ReadAsStreamAsync(either.Token).ConfigureAwait(false);
            await using (body.ConfigureAwait(false))
            {
                using var all = new MemoryStream();
                var buffer = new byte[64 << 10];
                int read;
                while ((read = await body.ReadAsync(buffer, either.Token).ConfigureAwait(false)) > 0)
                {
                    silence.CancelAfter(http.Options.Timeout);
                    http.Traffic.AddBytes(read);
                    if (all.Length + read > MaximumBytes)
                    {
                        throw new RemoteException(RemoteFailure.Network, name, string.Create(CultureInfo.InvariantCulture, $"the answer has more than {MaximumBytes} bytes. Is this the right server?"));
                    }

                    all.Write(buffer, 0, read);
                }

                return (all.ToArray(), null);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return ([], new RemoteException(RemoteFailure.Network, name, $"nothing came for {http.Options.Timeout.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture)} s in the middle of the answer."));
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException and not RemoteException)
        {
            return ([], new RemoteException(RemoteFailure.Network, name, $"the answer was cut: {exception.Message}", exception));
        }
    }

    private static JsonDocument Parse(byte[] bytes, string name)
    {
        try
        {
            return JsonDocument.Parse(bytes);
        }
        catch (JsonException exception)
        {
            throw new RemoteException(RemoteFailure.Network, name, "the answer is no JSON. Is this the right server?", exception);
        }
    }
}
