using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Ours and huggingface_hub's: the cache that it wrote is read, and written once more the same.</summary>
public sealed class HubGoldenTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly (string Cache, string Local) _golden;

    public HubGoldenTests() => _golden = GoldenHubCache.ExtractTo(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [LinuxTheory]
    [InlineData("hf://acme/tiny")]
    [InlineData("hf://acme/tiny@v1.0")]
    [InlineData("hf://acme/tiny@refs/pr/3")]
    [InlineData("hf://acme/tiny@refs%2Fpr%2F3/model.safetensors")]
    [InlineData("hf://acme/tiny@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/model.safetensors")]
    public async Task Open_GoldenCacheOffline_HasItsTensor(string address)
    {
        // A port where nobody is: nothing may be asked.
        using var remote = RemoteCheckpoints.Create(new RemoteOptions { Offline = true, Hub = new HubSettings { Endpoint = new Uri("http://127.0.0.1:9"), CacheFolder = _golden.Cache } });
        await using var checkpoint = await Checkpoint.OpenAsync(address, new CheckpointOptions { Remote = remote });
        Assert.Equal("w", Assert.Single(checkpoint.Tensors).Name);
        Assert.Equal(0, remote.Traffic.Requests);
    }

    [LinuxFact]
    public async Task Open_RevisionThatIsNotThereOffline_SaysSo()
    {
        using var remote = RemoteCheckpoints.Create(new RemoteOptions { Offline = true, Hub = new HubSettings { CacheFolder = _golden.Cache } });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => Checkpoint.OpenAsync("hf://acme/tiny@v2.0", new CheckpointOptions { Remote = remote }));
        Assert.Equal(RemoteFailure.Offline, exception.Failure);
        Assert.Contains("'v2.0'", exception.Message, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Download_TheSameRepositories_MakesTheSameCache()
    {
        await using var hub = await HubSample.StartAsync();
        var cache = _folder["ours"];
        using (var downloads = new HubDownloads(HubSample.Options(hub, cache)))
        {
            foreach (var revision in new[] { "main", "v1.0", "refs/pr/3" })
            {
                await downloads.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { Revision = revision });
            }

            await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadFileAsync(HubSample.Tiny, "missing.json"));
            await downloads.DownloadFileAsync(new HubRepository("gpt-nameless"), "config.json");
            await downloads.DownloadFileAsync(new HubRepository("acme/data", HubRepositoryKind.Dataset), "config.json");
        }

        var expected = HubSample.Entries(_golden.Cache);
        Assert.Equal(55, expected.Count);
        Assert.Equal(expected, HubSample.Entries(cache));
    }

    [LinuxFact]
    public async Task Download_ToALocalFolder_MakesTheSameFolder()
    {
        await using var hub = await HubSample.StartAsync();
        var local = _folder["ours"];
        using var downloads = new HubDownloads(HubSample.Options(hub, _folder["cache"]));
        Assert.Equal(Path.Combine(local, "sub", "dir", "file.txt"), await downloads.DownloadFileAsync(HubSample.Tiny, "sub/dir/file.txt", new HubDownloadOptions { LocalFolder = local }));
        const string metadata = ".cache/huggingface/download/sub/dir/file.txt.metadata";
        var (theirs, ours) = (HubSample.Entries(_golden.Local), HubSample.Entries(local));
        Assert.True(theirs.Remove(metadata) && ours.Remove(metadata));
        Assert.Equal(theirs, ours);
        var (expected, actual) = (File.ReadAllLines(Path.Combine(_golden.Local, metadata)), File.ReadAllLines(Path.Combine(local, metadata)));
        Assert.Equal(expected[..2], actual[..2]);
        Assert.Matches("^[0-9]{10}\\.[0-9]+$", Assert.Single(actual[2..]));
        Assert.EndsWith("\n", File.ReadAllText(Path.Combine(local, metadata)), StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Download_GoldenCacheThatHasAll_FetchesNothing()
    {
        await using var hub = await HubSample.StartAsync();
        using var downloads = new HubDownloads(HubSample.Options(hub, _golden.Cache));
        var before = HubSample.Entries(_golden.Cache);
        var folder = await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        Assert.Equal(Path.Combine(_golden.Cache, "models--acme--tiny", "snapshots", HubSample.Second), folder);
        Assert.Equal(before, HubSample.Entries(_golden.Cache));
        // The listing alone.
        Assert.Equal(1, downloads.Traffic.Requests);
    }

    [LinuxFact]
    public void Find_MarkerOfWhatIsMissing_IsKnown()
    {
        var cache = new HubCache(_golden.Cache);
        Assert.Equal(new HubCacheLookup(null, IsKnownMissing: true), cache.Find(HubSample.Tiny, "main", "missing.json"));
        Assert.Equal(default, cache.Find(HubSample.Tiny, "main", "other.json"));
        Assert.Equal(default, cache.Find(HubSample.Tiny, "nowhere", "config.json"));
        Assert.EndsWith("sub/dir/file.txt", cache.Find(HubSample.Tiny, "main", "sub/dir/file.txt").Path, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Inventory_GoldenCache_SaysWhatIsThere()
    {
        var inventory = await HubCacheInventory.ReadAsync(_golden.Cache);
        Assert.Equal(["hf://datasets/acme/data", "hf://acme/tiny", "hf://gpt-nameless"], inventory.Repositories.Select(repository => repository.Repository.ToString()));
        var tiny = inventory.Repositories[1];
        Assert.Equal(76 + 7 + 7 + 4, tiny.Bytes);
        Assert.Equal([(HubSample.First, "refs/pr/3 v1.0"), (HubSample.Second, "main")], tiny.Revisions.Select(revision => (revision.Commit, string.Join(' ', revision.Refs))));
        Assert.Equal(["config.json", "model.safetensors", "sub/dir/file.txt"], tiny.Revisions[0].Files.Select(file => file.Path));
        Assert.Equal(87, tiny.Revisions[0].Bytes);
        Assert.Empty(inventory.Problems);
        var verified = await inventory.VerifyAsync();
        Assert.Equal((6, 108L, 0), (verified.CheckedBlobs, verified.CheckedBytes, verified.UncheckedFiles));
        Assert.Empty(verified.Problems);
        Assert.Empty(await inventory.PruneAsync());
    }
}
