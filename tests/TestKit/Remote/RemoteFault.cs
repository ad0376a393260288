namespace IlgpuLoader.TestKit;

/// <summary>What a <see cref="RemoteServer"/> does wrong, or otherwise, in one answer.</summary>
public sealed record RemoteFault
{
    /// <summary>Answers with this status and no file.</summary>
    public int? Status { get; init; }

    /// <summary>The header <c>Retry-After</c>, as it is sent.</summary>
    public string? RetryAfter { get; init; }

    /// <summary>Redirects there: the header <c>Location</c>, as it is sent; with <see cref="Status"/>, else 302.</summary>
    public string? Redirect { get; init; }

    /// <summary>Cuts the connection after so many bytes of the body.</summary>
    public long? CutAfter { get; init; }

    /// <summary>Says nothing any more after so many bytes of the body, and keeps the connection.</summary>
    public long? StallAfter { get; init; }

    /// <summary>Sends no more than so many bytes of the body a second.</summary>
    public long? BytesPerSecond { get; init; }

    /// <summary>Waits so long before the headers.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>Waits for this before the headers; null for nothing.</summary>
    public Task? Until { get; init; }

    /// <summary>Never answers.</summary>
    public bool IsSilent { get; init; }

    /// <summary>Does not know of ranges.</summary>
    public bool WithoutRanges { get; init; }

    /// <summary>Does not know of <c>If-Range</c>: gives the range of whatever the file is now.</summary>
    public bool IgnoresIfRange { get; init; }

    /// <summary>Goes on after the body, without an end.</summary>
    public bool IsEndless { get; init; }

    /// <summary>Says no length: the body comes in chunks.</summary>
    public bool IsChunked { get; init; }

    /// <summary>The header <c>Content-Length</c>, whatever the body has.</summary>
    public long? ContentLength { get; init; }

    /// <summary>The header <c>Content-Range</c>, whatever was asked for; empty for none.</summary>
    public string? ContentRange { get; init; }

    /// <summary>The header <c>Content-Encoding</c>.</summary>
    public string? ContentEncoding { get; init; }

    /// <summary>So many bytes of headers more.</summary>
    public int HeaderBytes { get; init; }

    /// <summary>The header <c>ETag</c>, whatever the file has; empty for none.</summary>
    public string? EntityTag { get; init; }
}
