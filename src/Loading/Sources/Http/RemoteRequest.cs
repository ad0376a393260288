namespace IlgpuLoader.Loading;

/// <summary>A request over HTTP that has no body. Immutable.</summary>
/// <param name="Method">GET or HEAD.</param>
/// <param name="Address">The endpoint's address, which is absolute, and <c>https</c> or <c>http</c>.</param>
internal sealed record RemoteRequest(HttpMethod Method, Uri Address)
{
    /// <summary>
    /// Sent as <c>Authorization: Bearer</c> while scheme, host and port are those of <see cref="Address"/>; once redirects have led elsewhere, no longer. It goes over plain
    /// <c>http</c> only where <see cref="Address"/> itself says so: whoever sets such an endpoint means it.
    /// </summary>
    public string? Token { get; init; }

    /// <summary>More headers that others must not see, such as cookies; they go where <see cref="Token"/> goes.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> SecretHeaders { get; init; } = [];

    /// <summary>The bytes that are wanted; null for all.</summary>
    public (long Offset, long Length)? Range { get; init; }

    /// <summary>What the content is held against by the server (<c>If-Range</c>), as it stood in its header: a strong <c>ETag</c>, or a date.</summary>
    public string? IfRange { get; init; }

    /// <summary>Whether all redirects are followed; else one to another host is the response, and so is one within the host that <see cref="IsAnswer"/> says to be it. Redirects without a host are followed in any case.</summary>
    public bool FollowsToOtherHosts { get; init; } = true;

    /// <summary>Whether a redirect has what was asked for in its headers.</summary>
    public Func<HttpResponseMessage, bool> IsAnswer { get; init; } = _ => false;

    // A record would print the token.
    /// <inheritdoc/>
    public override string ToString() => $"{Method} {RemoteName.Of(Address)}";
}
