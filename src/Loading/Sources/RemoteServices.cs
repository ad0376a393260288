namespace IlgpuLoader.Loading;

/// <summary>What all schemes share: connections, their turns, and the engine of downloads. Safe for any thread.</summary>
internal sealed class RemoteServices : IDisposable
{
    private RemoteServices(RemoteOptions options, TimeProvider time)
    {
        (Options, Time) = (options, time);
        Http = new RemoteHttp(options, Traffic, time);
        Reading = new RemoteReading(options, time);
        Engine = new DownloadEngine(Reading, time);
    }

    /// <summary>How remote checkpoints are reached.</summary>
    public RemoteOptions Options { get; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; }

    /// <summary>Counts what is fetched.</summary>
    public RemoteTraffic Traffic { get; } = new();

    /// <summary>Sends requests.</summary>
    public RemoteHttp Http { get; }

    /// <summary>Reads ranges.</summary>
    public RemoteReading Reading { get; }

    /// <summary>Downloads files.</summary>
    public DownloadEngine Engine { get; }

    /// <summary>Connects to nothing yet.</summary>
    /// <param name="options">How remote checkpoints are reached.</param>
    /// <param name="time">The clock; null for the system's.</param>
    public static RemoteServices Create(RemoteOptions options, TimeProvider? time = null) => new(options, time ?? TimeProvider.System);

    /// <inheritdoc/>
    public void Dispose()
    {
        Http.Dispose();
        Reading.Dispose();
    }
}
