using System.ComponentModel.DataAnnotations;

namespace IlgpuLoader.Hosting;

/// <summary>The HTTP face of a host. Bound from the configuration section <c>IlgpuLoader:Http</c>; read once, when the host starts.</summary>
public sealed class HttpOptions
{
    /// <summary>The configuration section that is bound unless another is given.</summary>
    public const string SectionName = $"{IlgpuLoaderOptions.SectionName}:Http";

    /// <summary>
    /// Where <see cref="ModelServer"/> listens, with <c>;</c> between several: <c>http://127.0.0.1:5070</c>, <c>http://unix:/run/ilgpu-loader.sock</c>, <c>https://*:8443</c>. Any
    /// address that is not a loopback needs a token. Default: port 5070 of the loopback.
    /// </summary>
    public string Urls { get; set; } = "http://127.0.0.1:5070";

    /// <summary>
    /// The token that <c>Authorization: Bearer TOKEN</c> is held against: visible ASCII characters. Loads, unloads and reloads are off without one. <see cref="TokenFile"/> is the better
    /// place: a configuration is shown to many. Default: none.
    /// </summary>
    public string? Token { get; set; }

    /// <summary>A file whose one line is the token; only its owner should be able to read it. Default: none.</summary>
    public string? TokenFile { get; set; }

    /// <summary>
    /// Whether what is read needs the token also where all addresses are loopbacks, and also where an application says that it guards it: behind a proxy on this machine, which others reach, every
    /// request comes from a loopback. Default: false.
    /// </summary>
    public bool RequireTokenForReads { get; set; }

    /// <summary>
    /// The names that a request's <c>Host</c> may have where an address is not a loopback, without a port: <c>models.example.org</c>, <c>*.example.org</c>, <c>10.0.0.7</c>, <c>[fd00::7]</c>; empty, or
    /// <c>*</c>, for all. Health (<c>/healthz</c>, <c>/readyz</c>) is answered under any name there, as probes ask by address. On loopbacks alone it is always <c>localhost</c> or a loopback's number, so
    /// that no page of another site reaches the host by a name that it owns (DNS rebinding).
    /// </summary>
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>The certificate (PEM, with what stands between it and its root) of <c>https</c> addresses. Default: none.</summary>
    public string? CertificateFile { get; set; }

    /// <summary>The private key (PEM) of <see cref="CertificateFile"/>; null where that file has it too.</summary>
    public string? CertificateKeyFile { get; set; }

    /// <summary>Whether the page at <c>/</c> is served. Default: true.</summary>
    public bool Page { get; set; } = true;

    /// <summary>The largest page of tensors that a request may ask for. Default: 1000, about 150 KB of JSON with names as long as those of large models; a page of longer ones ends early, at 1 MiB.</summary>
    [Range(1, 100_000)]
    public int MaximumPageSize { get; set; } = 1000;

    /// <summary>
    /// How many requests are answered at a time, event streams and health apart. Default: 100; each takes well under a millisecond, so that more at once would only be a burst that waits for
    /// the processor.
    /// </summary>
    [Range(1, 100_000)]
    public int MaximumConcurrentRequests { get; set; } = 100;

    /// <summary>How many more requests wait for their turn before others get status 429. Default: 1000, a second's work at the least.</summary>
    [Range(0, 100_000)]
    public int MaximumQueuedRequests { get; set; } = 1000;

    /// <summary>How many event streams there are at a time. Default: 64; each is a connection that stays.</summary>
    [Range(0, 10_000)]
    public int MaximumEventStreams { get; set; } = 64;

    /// <summary>
    /// How many connections there are at a time; further ones are closed at once. Default: 2048, those of all requests that are answered (100) and wait (1000) and of the event streams (64), and nearly
    /// as many that clients keep for later. Each takes some 10 KB and a file descriptor.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaximumConnections { get; set; } = 2048;

    /// <summary>The largest body of a request in bytes; none is needed, and what is sent is not looked at. Default: 1 KiB, for clients that send an empty JSON object.</summary>
    [Range(0, 1 << 20)]
    public int MaximumBodyBytes { get; set; } = 1 << 10;

    /// <summary>The largest headers of a request in bytes, all together. Default: 16 KiB, half of Kestrel's: a token and what browsers send take less than two.</summary>
    [Range(1 << 10, 1 << 20)]
    public int MaximumHeaderBytes { get; set; } = 16 << 10;

    /// <summary>How long a client may take to send a request's headers. Default: 10 s, a third of Kestrel's.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:10:00")]
    public TimeSpan HeaderTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The shortest time between two events about one model's progress. Default: a quarter of a second, which the eye still takes for steady.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan EventInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How often an event stream says that it is still there. Default: 15 s, under the shortest idle timeout of common proxies (30 s).</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:10:00")]
    public TimeSpan KeepAliveInterval { get; set; } = TimeSpan.FromSeconds(15);
}
