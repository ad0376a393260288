using System.Diagnostics;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>This assembly as a process of its own, which downloads a model and may be killed meanwhile.</summary>
internal static class DownloadProgram
{
    /// <summary>The first argument of such a process.</summary>
    public const string Verb = "download";

    /// <summary>Starts a download of the weights of <c>acme/model</c>; it prints <c>begun</c> when bytes come, and then the folder.</summary>
    /// <param name="endpoint">The Hub.</param>
    /// <param name="cache">The cache.</param>
    public static Process Start(Uri endpoint, string cache) => OwnProgram.Start(typeof(DownloadProgram).Assembly, Verb, endpoint, cache);

    public static async Task<int> RunAsync(string[] args)
    {
        var options = new RemoteOptions { Hub = new HubSettings { Endpoint = new Uri(args[1]), CacheFolder = args[2] }, RangeBytes = 1 << 20, Connections = 8 };
        using var downloads = new HubDownloads(options);
        Console.WriteLine(await downloads.DownloadWeightsAsync(new HubRepository("acme/model"), ["*.safetensors"], progress: new Begun()));
        return 0;
    }

    private sealed class Begun : IProgress<DownloadProgress>
    {
        private bool _isSaid;

        public void Report(DownloadProgress value)
        {
            if (!_isSaid && value.FetchedBytes > 0)
            {
                _isSaid = true;
                Console.WriteLine("begun");
            }
        }
    }
}
