using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A file on an HTTP server. Its content is pinned: by its length, and by the validator (<c>ETag</c>, else <c>Last-Modified</c>) that it had when it was opened or first answered, which goes with every range as <c>If-Range</c>. Ranges are
/// asked of where the redirects led last, and of the first address again when that refuses, as a signed address does after its time. Safe for any thread.
/// </summary>
internal sealed class HttpObject : IRemoteObject
{
    private readonly RemoteHttp _http;
    private readonly RemoteRequest _request;
    private readonly bool _isKnown;
    private volatile HttpValidator? _validator;
    private volatile Uri? _target;

    private HttpObject(RemoteHttp http, RemoteRequest request, long length, bool takesRanges, HttpValidator? validator, Uri? target, bool isKnown = false)
    {
        (_http, _request) = (http, request with { Method = HttpMethod.Get, FollowsToOtherHosts = true, Range = null, IfRange = null });
        (Length, TakesRanges, _validator, _target) = (length, takesRanges, validator, target);
        (Name, _isKnown) = (RemoteName.Of(request.Address), isKnown);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool TakesRanges { get; }

    /// <summary>Whether its server says what its content is; else its length alone is held.</summary>
    public bool IsPinned => _validator is not null;

    /// <summary>Asks a server for a file's length and validator, and whether it gives ranges: one request, for its first byte. Signed addresses are signed for GET, so that HEAD would be refused.</summary>
    /// <param name="http">Sends the requests.</param>
    /// <param name="request">The address, the token and the secret headers.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="RemoteException">There is no such file (<see cref="RemoteFailure.EntryMissing"/>), it may not be read, or the server cannot be asked.</exception>
    public static async Task<HttpObject> OpenAsync(RemoteHttp http, RemoteRequest request, CancellationToken cancellationToken)
    {
        request = request with { Method = HttpMethod.Get, Range = (0, 1), IfRange = null, FollowsToOtherHosts = true };
        using var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        var name = RemoteName.Of(request.Address);
        // An empty file has no first byte.
        var isEmpty = response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable && response.Content.Headers.ContentRange is { HasLength: true, Length: 0 };
        if (!response.IsSuccessStatusCode && !isEmpty)
        {
            throw Refusal(name, response);
        }

        ThrowIfEncoded(name, response);
        var isPartial = response.StatusCode == HttpStatusCode.PartialContent;
        var length = isEmpty ? 0 : isPartial ? response.Content.Headers.ContentRange?.Length : response.Content.Headers.ContentLength;
        if (length is not { } known)
        {
            throw new RemoteException(RemoteFailure.Network, name, "the server does not say how long the file is; download it first, and open the local file.");
        }

        return new HttpObject(http, request, known, isPartial || isEmpty, HttpValidator.Of(response), TargetOf(request, response));
    }

    /// <summary>A file whose length is known already; no request is sent.</summary>
    /// <param name="http">Sends the requests.</param>
    /// <param name="request">The address, the token and the secret headers.</param>
    /// <param name="length">The length in bytes, which every answer is held against.</param>
    /// <param name="etag">
    /// The <c>ETag</c> of the server that gives the bytes, as it stands in its header, quotes and all; null pins the content to what answers first. That of a server that only redirects is not it.
    /// </param>
    public static HttpObject Known(RemoteHttp http, RemoteRequest request, long length, string? etag) =>
        new(http, request, length, true, etag is null ? null : HttpValidator.OfEntityTag(etag), null, isKnown: true);

    /// <inheritdoc/>
    public async Task<Stream> OpenRangeAsync(long offset, long length, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length - offset);
        if (!TakesRanges && offset > 0)
        {
            throw new InvalidOperationException($"{Name} can only be read from its beginning.");
        }

        if (length == 0)
        {
            return Stream.Null;
        }

        var response = await SendAsync(offset, length, cancellationToken).ConfigureAwait(false);
        try
        {
            ThrowIfOther(response, offset, length);
        }
        catch
        {
            response.Dispose();
            throw;
        }

        return await RemoteBody.OpenAsync(response, length, Name, _http, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What a status that is no success means for who wanted a file.</summary>
    internal static RemoteException Refusal(string name, HttpResponseMessage response)
    {
        var status = RemoteHttp.Describe(response);
        return response.StatusCode switch
        {
            HttpStatusCode.NotFound or HttpStatusCode.Gone => new(RemoteFailure.EntryMissing, name, $"there is no such file ({status})."),
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new(RemoteFailure.Unauthorized, name, $"the server refuses it ({status}). A signed address may have expired: ask for a new one."),
            _ => new(RemoteFailure.Network, name, $"the server answers {status}, which is no file."),
        };
    }

    // An address of this host that another host has chosen is not kept: asked directly, it would be given the secrets.
    private static Uri? TargetOf(RemoteRequest request, HttpResponseMessage response) =>
        response.RequestMessage!.RequestUri is { } target && target != request.Address && !(RemoteHttp.CameThroughOtherHost(response) && RemoteName.IsSameOrigin(target, request.Address)) ? target : null;

    private static void ThrowIfEncoded(string name, HttpResponseMessage response)
    {
        var encodings = response.Content.Headers.ContentEncoding;
        if (encodings.Any(encoding => !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase)))
        {
            throw new RemoteException(
                RemoteFailure.Network, name, $"the server sends the file encoded ({Quoted.Name(string.Join(", ", encodings))}) although it was asked for the file itself; download it first, and open the local file.");
        }
    }

    private async Task<HttpResponseMessage> SendAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var request = TakesRanges ? _request with { Range = (offset, length), IfRange = _validator?.IfRange } : _request;
        if (_target is { } target)
        {
            var isForeign = !RemoteName.IsSameOrigin(target, _request.Address);
            try
            {
                var response = await _http.SendAsync(
                    request with { Address = target, Token = isForeign ? null : request.Token, SecretHeaders = isForeign ? [] : request.SecretHeaders }, cancellationToken).ConfigureAwait(false);
                if (!IsExpired(response.StatusCode))
                {
                    return response;
                }

                response.Dispose();
            }
            catch (RemoteException gone) when (gone.Failure == RemoteFailure.Network)
            {
                // One of several hosts may be down: who redirects may know of another.
            }

            _target = null;
        }

        var first = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (first.IsSuccessStatusCode)
        {
            _target = TargetOf(_request, first);
        }

        return first;
    }

    // What storage services answer to a signature after its time: S3, CloudFront and Azure 403, Google 400.
    private static bool IsExpired(HttpStatusCode status) =>
        status is HttpStatusCode.BadRequest or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound or HttpStatusCode.Gone;

    private void ThrowIfOther(HttpResponseMessage response, long offset, long length)
    {
        var headers = response.Content.Headers;
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            throw Changed($"it had {Length} bytes and has {headers.ContentRange?.Length?.ToString(CultureInfo.InvariantCulture) ?? "fewer"} now");
        }

        if (!response.IsSuccessStatusCode)
        {
            throw Refusal(Name, response);
        }

        ThrowIfEncoded(Name, response);
        var actual = HttpValidator.Of(response);
        if (_validator is { } pinned && actual is not null && !pinned.Agrees(actual))
        {
            throw Changed($"it was {pinned} and is {actual} now");
        }

        if (response.StatusCode == HttpStatusCode.PartialContent)
        {
            if (!TakesRanges)
            {
                throw Nonsense($"{RemoteHttp.Describe(response)} although the whole file was asked for");
            }

            ThrowIfOtherRange(headers.ContentRange, offset, length);
            ThrowIfOtherLength(headers.ContentLength, length);
        }
        else if (TakesRanges)
        {
            throw headers.ContentLength is { } now && now != Length
                ? Changed($"it had {Length} bytes and has {now} now")
                : _validator is { IfRange: not null } && actual is null
                ? Changed($"it was {_validator} and the server does not say what it is now")
                : Nonsense($"{RemoteHttp.Describe(response)} although bytes {offset}-{offset + length - 1} were asked for: it gives no ranges{(_isKnown ? ", without which nothing can be streamed; download it first, as a load without --stream does" : " any more")}");
        }
        else
        {
            if (headers.ContentLength is { } now && now != Length)
            {
                throw Changed($"it had {Length} bytes and has {now} now");
            }
        }

        // Where nothing was known, the first answer decides; of two at the same time, one.
        if (_validator is null && actual is not null && Interlocked.CompareExchange(ref _validator, actual, null) is { } other && !other.Agrees(actual))
        {
            throw Changed($"it was {other} and is {actual} now");
        }
    }

    private void ThrowIfOtherRange(ContentRangeHeaderValue? range, long offset, long length)
    {
        if (range is not { HasRange: true, HasLength: true } || range.From != offset || range.To != offset + length - 1 || !range.Unit.Equals("bytes", StringComparison.OrdinalIgnoreCase))
        {
            throw Nonsense($"with the range {Quoted.Name(range?.ToString() ?? "none")} although bytes {offset}-{offset + length - 1}/{Length} were asked for");
        }

        if (range.Length != Length)
        {
            throw Changed($"it had {Length} bytes and has {range.Length} now");
        }
    }

    private void ThrowIfOtherLength(long? actual, long expected)
    {
        if (actual is { } given && given != expected)
        {
            throw Nonsense($"with {given} bytes although {expected} were asked for");
        }
    }

    private RemoteException Nonsense(string what) => new(RemoteFailure.Network, Name, $"the server answers {what}.");

    private InvalidCheckpointException Changed(string how) =>
        new(CheckpointErrorCode.FileChanged, Name, $"the file changed on its server since it was opened: {how}. What was read is not one checkpoint: open it again.");
}
