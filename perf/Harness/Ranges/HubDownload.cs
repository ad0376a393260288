using System.Diagnostics;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>The download of a repository's only file from a <see cref="RangeServer"/>, hashed and renamed into a cache of its own.</summary>
internal static class HubDownload
{
    /// <summary>Downloads it anew.</summary>
    /// <param name="server">The server.</param>
    /// <param name="folder">Where the cache is made; it is removed again, which is not counted.</param>
    /// <param name="connections">How many there are.</param>
    /// <param name="cancellationToken">Ends the download.</param>
    /// <returns>The seconds.</returns>
    public static async Task<double> MeasureAsync(Uri server, string folder, int connections, CancellationToken cancellationToken)
    {
        var cache = Path.Combine(folder, "cache");
        var started = Stopwatch.GetTimestamp();
        double seconds;
        using (var downloads = new HubDownloads(new RemoteOptions { Connections = connections, Hub = new HubSettings { Endpoint = server, CacheFolder = cache } }))
        {
            _ = await downloads.DownloadSnapshotAsync(new HubRepository(RangeServer.Repository), cancellationToken: cancellationToken);
            seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        }

        Directory.Delete(cache, recursive: true);
        return seconds;
    }
}
