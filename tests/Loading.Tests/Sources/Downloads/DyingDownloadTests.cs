using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Downloads that die before each of the calls with which a file gets its name, a link leads to it and a ref to its commit, and the next download of the same.</summary>
public sealed class DyingDownloadTests : IAsyncLifetime, IDisposable
{
    // More than there are of any download here.
    private const int MostCalls = 200;

    private readonly TemporaryFolder _folder = new();
    private HubDouble _hub = null!;

    public async Task InitializeAsync() => _hub = await HubSample.StartAsync();

    public async Task DisposeAsync() => await _hub.DisposeAsync();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public async Task Download_IntoTheCacheDyingBeforeAnyCall_ShowsNothingWrongAndIsMadeWholeByTheNext()
    {
        await DownloadAsync(_folder["whole"], new MortalCalls(MostCalls), null);
        var whole = HubSample.Entries(_folder["whole"]);
        var deaths = 0;
        for (; ; deaths++)
        {
            var (cache, calls) = (_folder[$"cache{deaths}"], new MortalCalls(deaths));
            if (!await DownloadAsync(cache, calls, null))
            {
                break;
            }

            foreach (var (path, content) in Directory.Exists(cache) ? HubSample.Entries(cache) : [])
            {
                // What has a name of its own is what it is in the end; the rest is hidden, or not whole by its name.
                Assert.True(IsOurs(path) || (whole.TryGetValue(path, out var expected) && expected == content), $"{path} after {deaths} calls: {content}");
            }

            Assert.False(await DownloadAsync(cache, new MortalCalls(MostCalls), null));
            Assert.Equal(whole, HubSample.Entries(cache));
        }

        // Three files: reserved, forced to disk, renamed, the folder forced to disk, the journal deleted, linked and the link renamed; and the ref.
        Assert.InRange(deaths, 3 * 7, MostCalls - 1);
    }

    [LinuxFact]
    public async Task Download_IntoAFolderDyingBeforeAnyCall_ShowsNothingWrongAndIsMadeWholeByTheNext()
    {
        var contents = new Dictionary<string, byte[]> { ["config.json"] = "{\"v\":2}"u8.ToArray(), ["model.safetensors"] = HubSample.Weights, ["sub/dir/file.txt"] = "same"u8.ToArray() };
        var deaths = 0;
        for (; ; deaths++)
        {
            var (local, calls) = (_folder[$"local{deaths}"], new MortalCalls(deaths));
            if (!await DownloadAsync(_folder["cache"], calls, local))
            {
                break;
            }

            Assert.All(FilesOf(local), file => Assert.Equal(contents[file], File.ReadAllBytes(Path.Combine(local, file))));
            Assert.False(await DownloadAsync(_folder["cache"], new MortalCalls(MostCalls), local));
            Assert.Equal(contents.Keys.Order(StringComparer.Ordinal), FilesOf(local));
            Assert.All(contents, file => Assert.Equal(file.Value, File.ReadAllBytes(Path.Combine(local, file.Key))));
            Assert.DoesNotContain(HubSample.Entries(local).Keys, IsOurs);
        }

        Assert.InRange(deaths, 3 * 6, MostCalls - 1);
    }

    private static bool IsOurs(string path) =>
        PartialFile.IsUnfinished(path) || Path.GetFileName(path) is var name && name.StartsWith('.') && name.EndsWith(".tmp", StringComparison.Ordinal);

    private static string[] FilesOf(string local) =>
        !Directory.Exists(local)
            ? []
            : [.. Directory.EnumerateFiles(local, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(local, file)).Where(file => !file.StartsWith(".cache", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    // Whether it died.
    private async Task<bool> DownloadAsync(string cache, MortalCalls calls, string? local)
    {
        // One at a time, so that the calls are in the same order each time.
        using var downloads = new HubDownloads(RemoteServices.Create(HubSample.Options(_hub, cache) with { Connections = 1 }, null, calls), ownsServices: true);
        try
        {
            await downloads.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { LocalFolder = local });
        }
        catch (MortalCalls.DeathException)
        {
        }

        return calls.HasDied;
    }
}
