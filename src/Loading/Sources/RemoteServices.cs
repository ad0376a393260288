using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What all schemes share: connections, their turns, and the engine of downloads. Safe for any thread.</summary>
internal sealed class RemoteServices : IDisposable
{
    private RemoteServices(RemoteOptions options, TimeProvider time, FileSystemCalls calls)
    {
        (Options, Time, Calls) = (options, time, calls);
        Http = new RemoteHttp(options, Traffic, time);
        Reading = new RemoteReading(options, time);
        Engine = new DownloadEngine(Reading, time, calls);
    }

    /// <summary>How remote checkpoints are reached.</summary>
    public RemoteOptions Options { get; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; }

    /// <summary>The calls of the file system that downloads are made of.</summary>
    public FileSystemCalls Calls { get; }

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
    /// <param name="calls">The calls of the file system; null for the machine's.</param>
    public static RemoteServices Create(RemoteOptions options, TimeProvider? time = null, FileSystemCalls? calls = null) => new(options, time ?? TimeProvider.System, calls ?? FileSystemCalls.Native);

    /// <inheritdoc/>
    public void Dispose()
    {
        Http.Dispose();
        Reading.Dispose();
    }
}
