using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Loading;

/// <summary>How remote checkpoints are reached. Immutable.</summary>
public sealed record RemoteOptions
{
    /// <summary>The default number of connections: from 8 to 32 at once are what others use against object storage (Run:ai's streamer loads in 28.2 s with 4 and in 4.9 s with 32).</summary>
    public const int DefaultConnections = 16;

    /// <summary>The default size of a range in bytes, 8 MiB: what others' streamers ask for at a time.</summary>
    public const int DefaultRangeBytes = 8 << 20;

    /// <summary>The most connections: eight times what others use against object storage; servers refuse more from one machine.</summary>
    public const int MaximumConnections = 256;

    /// <summary>The default number of retries: with waits that double, some 15 s in all, which a server that restarts takes (huggingface_hub has the same number).</summary>
    public const int DefaultRetries = 5;

    /// <summary>The most retries: waits no longer grow then, and whoever wants more wants a loop of their own.</summary>
    public const int MostRetries = 100;

    /// <summary>The longest timeout: what says nothing for an hour will not go on.</summary>
    public static readonly TimeSpan MaximumTimeout = TimeSpan.FromHours(1);

    /// <summary>The default number of redirects in a row: the Hub's need two.</summary>
    public const int DefaultRedirects = 10;

    /// <summary>The most redirects in a row: more is a loop.</summary>
    public const int MostRedirects = 100;

    /// <summary>The defaults.</summary>
    public static RemoteOptions Default { get; } = new();

    /// <summary>How many ranges are fetched at the same time, all files together (of a host, each model's); from 1 to <see cref="MaximumConnections"/>.</summary>
    public int Connections
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MaximumConnections);
            field = value;
        }
    } = DefaultConnections;

    /// <summary>The most bytes of one range; from 64 KiB to 1 GiB.</summary>
    public int RangeBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 64 << 10);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 1 << 30);
            field = value;
        }
    } = DefaultRangeBytes;

    /// <summary>How the Hub and ModelScope are read. Default: <see cref="RemoteAccess.Cache"/>.</summary>
    public RemoteAccess Access { get; init; } = RemoteAccess.Cache;

    /// <summary>The longest time in which nothing arrives on a connection before it counts as cut (<c>HF_HUB_DOWNLOAD_TIMEOUT</c>; huggingface_hub's default is 10 s); above zero, up to <see cref="MaximumTimeout"/>.</summary>
    public TimeSpan Timeout
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MaximumTimeout);
            field = value;
        }
    } = TimeSpan.FromSeconds(10);

    /// <summary>How often a request is tried again on 408, 429, 5xx and cut connections, at most; from 0 to <see cref="MostRetries"/>.</summary>
    public int MaximumRetries
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MostRetries);
            field = value;
        }
    } = DefaultRetries;

    /// <summary>How many redirects are followed in a row; from 0 to <see cref="MostRedirects"/>.</summary>
    public int MaximumRedirects
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MostRedirects);
            field = value;
        }
    } = DefaultRedirects;

    /// <summary>Where an object storage is; null for what the environment says (<see cref="S3Settings.FromEnvironment"/>).</summary>
    public S3Settings? S3 { get; init; }

    /// <summary>Whether the network is left alone and only what is in the cache is used (<c>HF_HUB_OFFLINE</c>).</summary>
    public bool Offline { get; init; }

    /// <summary>Which Hub is asked, as whom, and where its cache is.</summary>
    public HubSettings Hub { get; init; } = new();

    /// <summary>Which ModelScope is asked, as whom, and where its cache is.</summary>
    public ModelScopeSettings ModelScope { get; init; } = new();

    /// <summary>Who is told of the downloads that opening an address begins; null for nobody. It is called from any thread, one call at a time a download.</summary>
    public IProgress<DownloadProgress>? Progress { get; init; }

    /// <summary>Runs each of these downloads that has something to fetch, such as to show <see cref="Progress"/> while it lasts; it returns when the download has ended, and throws what that throws. Null for just running it.</summary>
    public Func<Func<Task>, Task>? AroundDownloads { get; init; }

    /// <summary>Where is written what opening an address does: what is tried again and when, downloads, what is left aside; null for nowhere. Never a token.</summary>
    public ILogger? Logger { get; init; }

    /// <summary>What the variables of an environment say, as huggingface_hub, vLLM and ModelScope read them: <c>HF_ENDPOINT</c>, <c>HF_TOKEN</c>, <c>HF_HOME</c>, <c>HF_HUB_CACHE</c>, <c>HF_HUB_OFFLINE</c>, <c>HF_HUB_DOWNLOAD_TIMEOUT</c> and so on.</summary>
    /// <param name="environment">Gives the value of a variable, null where it is not set; null for the environment of this process.</param>
    /// <exception cref="ArgumentException">A variable has a value that cannot be; the message names it.</exception>
    public static RemoteOptions FromEnvironment(Func<string, string?>? environment = null)
    {
        var read = RemoteSetting.Reader(environment);
        return new RemoteOptions
        {
            Hub = HubSettings.FromEnvironment(environment),
            ModelScope = ModelScopeSettings.FromEnvironment(environment),
            S3 = S3Settings.FromEnvironment(environment),
            // What hf_transfer adds to huggingface_hub is ranges side by side; vLLM turns it on where nobody says no.
            Connections = read("HF_HUB_ENABLE_HF_TRANSFER") is { } transfer && !RemoteSetting.IsTrue(transfer) ? 1 : DefaultConnections,
            // The second is what transformers calls it.
            Offline = RemoteSetting.IsTrue(read("HF_HUB_OFFLINE") ?? read("TRANSFORMERS_OFFLINE")),
            Timeout = RemoteSetting.SecondsOf("HF_HUB_DOWNLOAD_TIMEOUT", read) ?? Default.Timeout,
        };
    }

    /// <summary>Runs a download that opening no address has begun: as it is.</summary>
    internal static Task RunAskedDownloadAsync(Func<Task> download) => download();

    /// <summary>Runs a download that opening an address has begun: as <see cref="AroundDownloads"/> says.</summary>
    internal Task RunDownloadAsync(Func<Task> download) => AroundDownloads is { } around ? around(download) : download();
}
