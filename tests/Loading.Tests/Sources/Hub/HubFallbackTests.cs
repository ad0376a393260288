using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What stands in for a download where the Hub cannot be asked, and what does not; and what is no download at all.</summary>
public sealed class HubFallbackTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RecordedLog _log = new();
    private HubDouble _hub = null!;

    private string Cache => _folder["cache"];

    private string Local => _folder["local"];

    public async Task InitializeAsync() => _hub = await HubSample.StartAsync();

    public async Task DisposeAsync() => await _hub.DisposeAsync();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task DownloadSnapshot_HubGone_GivesWhatTheCacheHasAndCountsIt()
    {
        var folder = await DownloadAsync();
        var progress = new RecordedDownload();
        using var gone = Gone();
        Assert.Equal(folder, await gone.DownloadSnapshotAsync(HubSample.Tiny, progress: progress));
        Assert.Equal(new DownloadProgress(3, 3, 87, 87, 0), progress.Reports[^1]);
        await gone.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { AllowPatterns = ["*.json"] }, progress);
        Assert.Equal(new DownloadProgress(1, 1, 7, 7, 0), progress.Reports[^1]);
        Assert.Contains("CacheUsed", _log.Events);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task Download_HubGoneAndNothingMayStandIn_Fails(bool isForced, bool fallsBack)
    {
        await DownloadAsync();
        await DownloadAsync(new HubDownloadOptions { LocalFolder = Local });
        using var gone = Gone();
        foreach (var local in new[] { null, Local })
        {
            var options = new HubDownloadOptions { Force = isForced, FallsBackToCache = fallsBack, LocalFolder = local };
            Assert.Equal(RemoteFailure.Network, await FailureOfAsync(() => gone.DownloadSnapshotAsync(HubSample.Tiny, options)));
            Assert.Equal(RemoteFailure.Network, await FailureOfAsync(() => gone.DownloadFileAsync(HubSample.Tiny, "config.json", options)));
            Assert.Equal(RemoteFailure.Network, await FailureOfAsync(() => gone.DownloadWeightsAsync(HubSample.Tiny, ["*.bin", "*.safetensors"], options)));
        }
    }

    [Fact]
    public async Task Download_ForcedOffline_Fails()
    {
        await DownloadAsync();
        using var offline = Offline();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => offline.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { Force = true }));
        Assert.Equal(RemoteFailure.Offline, exception.Failure);
        Assert.DoesNotContain("not in the cache", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DownloadSnapshot_OfflineAndNothingThereThatFits_Fails()
    {
        await DownloadAsync(new HubDownloadOptions { AllowPatterns = ["*.json"] });
        using var offline = Offline();
        Assert.Equal(RemoteFailure.Offline, await FailureOfAsync(() => offline.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { AllowPatterns = ["*.safetensors"] })));
        Assert.Equal(RemoteFailure.Offline, await FailureOfAsync(() => offline.DownloadWeightsAsync(HubSample.Tiny, ["*.safetensors", "*.bin"])));
    }

    [Fact]
    public async Task Download_OfflineToAFolderOfSomethingElse_Fails()
    {
        Directory.CreateDirectory(Local);
        File.WriteAllText(Path.Combine(Local, "config.json"), "another's");
        var options = new HubDownloadOptions { LocalFolder = Local };
        using var offline = Offline();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => offline.DownloadSnapshotAsync(HubSample.Tiny, options));
        Assert.Equal(RemoteFailure.Offline, exception.Failure);
        Assert.Contains(Local, exception.Message, StringComparison.Ordinal);
        Assert.Equal(RemoteFailure.Offline, await FailureOfAsync(() => offline.DownloadFileAsync(HubSample.Tiny, "config.json", options)));
    }

    [Fact]
    public async Task Download_OfflineToAFolderThatHasIt_GivesIt()
    {
        var options = new HubDownloadOptions { LocalFolder = Local };
        await DownloadAsync(options);
        using var offline = Offline();
        Assert.Equal(Local, await offline.DownloadSnapshotAsync(HubSample.Tiny, options));
        Assert.Equal(Path.Combine(Local, "config.json"), await offline.DownloadFileAsync(HubSample.Tiny, "config.json", options));
        Assert.Equal(Local, await offline.DownloadSnapshotAsync(HubSample.Tiny, options with { Revision = HubSample.Second }));
        // Of which commit it is, it says.
        Assert.Equal(RemoteFailure.Offline, await FailureOfAsync(() => offline.DownloadSnapshotAsync(HubSample.Tiny, options with { Revision = HubSample.First })));
        Assert.Equal(RemoteFailure.Offline, await FailureOfAsync(() => offline.DownloadFileAsync(HubSample.Tiny, "config.json", options with { Revision = HubSample.First })));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task DownloadSnapshot_NothingFits_SaysWhatThereIsAndWritesNothing(bool isLocal)
    {
        using var downloads = new HubDownloads(HubSample.Options(_hub, Cache), _log);
        var options = new HubDownloadOptions { AllowPatterns = ["*.xyz"], LocalFolder = isLocal ? Local : null };
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(HubSample.Tiny, options));
        Assert.Equal(RemoteFailure.EntryMissing, exception.Failure);
        Assert.Contains("'*.xyz'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'config.json'", exception.Message, StringComparison.Ordinal);
        exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(HubSample.Tiny, options with { AllowPatterns = null, IgnorePatterns = ["*"] }));
        Assert.Contains("'*'", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Download_GoingOnWithLittleRoom_CountsWhatIsReservedAsThere(bool isLocal)
    {
        const int length = 1_000_000;
        var repository = _hub.Add("acme/model");
        repository.SetRef("main", HubSample.First);
        var file = repository.Add(HubSample.First, "x.bin", new RemoteContent([], length, seed: 1), isLarge: true);
        var stem = isLocal ? new HubLocalFolder(Local, TimeProvider.System).StemOf("x.bin", file.Tag) : Path.Combine(Cache, "models--acme--model", "blobs", file.Tag);
        // Between nothing and what is missing.
        using var downloads = new HubDownloads(RemoteServices.Create(HubSample.Options(_hub, Cache), null, new GivenRoom(100_000)), ownsServices: true);
        var options = new HubDownloadOptions { LocalFolder = isLocal ? Local : null };
        await Assert.ThrowsAsync<IOException>(() => downloads.DownloadSnapshotAsync(new HubRepository("acme/model"), options));
        Directory.CreateDirectory(Path.GetDirectoryName(stem)!);
        using (var earlier = PartialFile.Open(stem, length, 64 << 10, prefix: null, isChecked: true, FileSystemCalls.Native))
        {
            earlier.Append(0, file.Served.Content.Slice(0, 50_000));
        }

        var folder = await downloads.DownloadSnapshotAsync(new HubRepository("acme/model"), options);
        Assert.Equal(file.Served.Content.Slice(0, length), File.ReadAllBytes(Path.Combine(folder, "x.bin")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Open_WhatAnInterruptedDownloadHasLeft_LacksAShard(bool isIndexGone)
    {
        const string index = "model.safetensors.index.json";
        var repository = _hub.Add("acme/model");
        repository.SetRef("main", HubSample.First);
        repository.Add(HubSample.First, "config.json", "{}"u8.ToArray());
        repository.Add(HubSample.First, "model-00001-of-00002.safetensors", HubSample.Weights, isLarge: true);
        // Another content, as equal ones are one blob.
        repository.Add(HubSample.First, "model-00002-of-00002.safetensors", [.. HubSample.Weights, 0], isLarge: true).Served.FailAlways(new RemoteFault { Status = 404 });
        repository.Add(HubSample.First, index, """{"weight_map": {"w": "model-00001-of-00002.safetensors", "v": "model-00002-of-00002.safetensors"}}"""u8.ToArray());
        // One after the other, as they are listed.
        var options = HubSample.Options(_hub, Cache) with { Connections = 1 };
        using (var downloads = new HubDownloads(options))
        {
            await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(new HubRepository("acme/model")));
        }

        var snapshot = Path.Combine(Cache, "models--acme--model", "snapshots", HubSample.First);
        Assert.Equal(["config.json", "model-00001-of-00002.safetensors", index], Directory.EnumerateFiles(snapshot).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        if (isIndexGone)
        {
            // As another program would have left it.
            File.Delete(Path.Combine(snapshot, index));
        }

        using var remote = RemoteCheckpoints.Create(options with { Offline = true });
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync("hf://acme/model", new CheckpointOptions { Remote = remote }));
        Assert.Equal(CheckpointErrorCode.ShardMissing, exception.Code);
        Assert.Contains("'model-00002-of-00002.safetensors'", exception.Message, StringComparison.Ordinal);
    }

    private static async Task<RemoteFailure> FailureOfAsync(Func<Task> download) => (await Assert.ThrowsAsync<RemoteException>(download)).Failure;

    private async Task<string> DownloadAsync(HubDownloadOptions? options = null)
    {
        using var downloads = new HubDownloads(HubSample.Options(_hub, Cache));
        return await downloads.DownloadSnapshotAsync(HubSample.Tiny, options);
    }

    private HubDownloads Offline() => new(HubSample.Options(_hub, Cache) with { Offline = true }, _log);

    // A port where nobody is.
    private HubDownloads Gone() => new(new RemoteOptions { Hub = new HubSettings { Endpoint = new Uri("http://127.0.0.1:9"), CacheFolder = Cache }, MaximumRetries = 0 }, _log);
}
