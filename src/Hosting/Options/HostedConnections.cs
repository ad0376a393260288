using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>
/// Finds the addresses of one hosted model, over connections of its own: that is how its downloads are told from those of other models. The bound on connections holds for each model, of which as many
/// load at a time as <see cref="IlgpuLoaderOptions.MaximumConcurrentLoads"/> says. Safe for any thread; its downloads come one behind the other, as the model's operations do.
/// </summary>
internal sealed class HostedConnections : IRemoteCheckpoints, IProgress<DownloadProgress>, IDisposable
{
    private readonly RemoteCheckpoints _checkpoints;
    private readonly RemoteOptions _options;
    private volatile IDownloadFollower? _follower;

    /// <summary>Makes it; nobody is asked yet.</summary>
    /// <param name="options">How remote checkpoints are reached; who is told of downloads there still is.</param>
    /// <param name="time">What measures time.</param>
    /// <exception cref="ArgumentException">The environment has a value for a server that cannot be.</exception>
    public HostedConnections(RemoteOptions options, TimeProvider time)
    {
        _options = options;
        _checkpoints = RemoteCheckpoints.Create(options with { Progress = this, AroundDownloads = RunAsync }, time);
    }

    /// <summary>Says who follows the downloads from here on; null for nobody.</summary>
    public void Follow(IDownloadFollower? follower) => _follower = follower;

    /// <inheritdoc/>
    public ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken = default) => _checkpoints.LocateAsync(address, cancellationToken);

    /// <inheritdoc/>
    public void Report(DownloadProgress value)
    {
        _follower?.Report(value);
        _options.Progress?.Report(value);
    }

    /// <inheritdoc/>
    public void Dispose() => _checkpoints.Dispose();

    private async Task RunAsync(Func<Task> download)
    {
        using (_follower?.BeginDownload())
        {
            await (_options.AroundDownloads is { } around ? around(download) : download()).ConfigureAwait(false);
        }
    }
}
