using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HubDownloadsTests : IAsyncLifetime, IDisposable
{
    private const string Secret = "hf_secretsecret";

    private readonly TemporaryFolder _folder = new();
    private readonly RecordedLog _log = new();
    private HubDouble _hub = null!;
    private HubDoubleRepository _repository = null!;

    private string Cache => _folder["cache"];

    public async Task InitializeAsync()
    {
        _hub = await HubSample.StartAsync();
        _repository = _hub.Add("acme/model");
        _repository.SetRef("main", HubSample.First);
    }

    public async Task DisposeAsync() => await _hub.DisposeAsync();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("acme/nothing", "main", "config.json", RemoteFailure.RepositoryMissing, "Check the name")]
    [InlineData("acme/tiny", "v9", "config.json", RemoteFailure.RevisionMissing, "'v9'")]
    [InlineData("acme/tiny", "main", "nothing.json", RemoteFailure.EntryMissing, "'nothing.json'")]
    public async Task DownloadFile_NotThere_SaysWhatIsMissing(string repository, string revision, string path, RemoteFailure failure, string said)
    {
        using var downloads = Create();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadFileAsync(new HubRepository(repository), path, new HubDownloadOptions { Revision = revision }));
        Assert.Equal(failure, exception.Failure);
        Assert.Contains(said, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(Secret)]
    public async Task Download_GatedRepository_SaysWhereToAccept(string? token)
    {
        _repository.IsGated = true;
        using var downloads = Create(token);
        foreach (var download in new Func<Task>[] { () => downloads.DownloadFileAsync(new HubRepository("acme/model"), "x"), () => downloads.DownloadSnapshotAsync(new HubRepository("acme/model")) })
        {
            var exception = await Assert.ThrowsAsync<RemoteException>(download);
            Assert.Equal(RemoteFailure.Gated, exception.Failure);
            Assert.Contains($"Accept its conditions at {_hub.Hub.Address}acme/model", exception.Message, StringComparison.Ordinal);
            Assert.Contains("HF_TOKEN", exception.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(Secret, exception.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Download_PrivateRepository_TakesTheTokenAndGivesItToNobodyElse()
    {
        _repository.Token = Secret;
        _repository.Add(HubSample.First, "model.safetensors", HubSample.Weights, isLarge: true);
        using (var without = Create())
        {
            var exception = await Assert.ThrowsAsync<RemoteException>(() => without.DownloadSnapshotAsync(new HubRepository("acme/model")));
            Assert.Equal(RemoteFailure.RepositoryMissing, exception.Failure);
            Assert.Contains("Set HF_TOKEN", exception.Message, StringComparison.Ordinal);
        }

        using (var wrong = Create("hf_wrong"))
        {
            var exception = await Assert.ThrowsAsync<RemoteException>(() => wrong.DownloadSnapshotAsync(new HubRepository("acme/model")));
            Assert.Equal(RemoteFailure.Unauthorized, exception.Failure);
            Assert.DoesNotContain("hf_wrong", exception.ToString(), StringComparison.Ordinal);
        }

        using var downloads = Create(Secret);
        await downloads.DownloadSnapshotAsync(new HubRepository("acme/model"));
        Assert.NotEmpty(_hub.Storage.Requests);
        Assert.All(_hub.Storage.Requests, request => Assert.Null(request["Authorization"]));
        Assert.DoesNotContain(Secret, _log.Text, StringComparison.Ordinal);
        // Neither is the signature of the storage's address anywhere.
        Assert.DoesNotContain("signature", _log.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DownloadSnapshot_Twice_FetchesOnce()
    {
        using var downloads = Create();
        var folder = await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        _hub.Hub.ForgetRequests();
        _hub.Storage.ForgetRequests();
        Assert.Equal(folder, await downloads.DownloadSnapshotAsync(HubSample.Tiny));
        Assert.Single(_hub.Hub.Requests);
        Assert.Empty(_hub.Storage.Requests);
        Assert.Equal(folder, await downloads.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { Force = true }));
        Assert.NotEmpty(_hub.Storage.Requests);
    }

    [Fact]
    public async Task DownloadSnapshot_AnotherRevision_FetchesOnlyWhatIsOther()
    {
        using var downloads = Create();
        await downloads.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { Revision = "v1.0" });
        _hub.Storage.ForgetRequests();
        var folder = await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        Assert.Empty(_hub.Storage.Requests);
        Assert.Equal("{\"v\":2}", File.ReadAllText(Path.Combine(folder, "config.json")));
    }

    [Fact]
    public async Task DownloadSnapshot_Patterns_ChooseFiles()
    {
        using var downloads = Create();
        var folder = await downloads.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { AllowPatterns = ["*.json", "sub/"], IgnorePatterns = ["*.txt"] });
        Assert.Equal(["config.json"], Directory.GetFiles(folder).Select(file => Path.GetFileName(file)));
        Assert.False(Directory.Exists(Path.Combine(folder, "sub")));
    }

    [Fact]
    public async Task DownloadSnapshot_Progress_EndsWithAllFilesAndBytes()
    {
        var progress = new RecordedDownload();
        using var downloads = Create();
        await downloads.DownloadSnapshotAsync(HubSample.Tiny, progress: progress);
        Assert.Equal(new DownloadProgress(3, 3, 87, 87, 87), progress.Reports[^1]);
        await downloads.DownloadSnapshotAsync(HubSample.Tiny, progress: progress);
        Assert.Equal(new DownloadProgress(3, 3, 87, 87, 0), progress.Reports[^1]);
    }

    [LinuxFact]
    public async Task DownloadSnapshot_WithoutLinks_HasFilesOfItsOwn()
    {
        var options = HubSample.Options(_hub, Cache);
        using var downloads = new HubDownloads(options with { Hub = options.Hub with { UsesLinks = false } });
        var folder = await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        Assert.Equal(HubSample.Weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Null(new FileInfo(Path.Combine(folder, "model.safetensors")).LinkTarget);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Cache, "models--acme--tiny", "blobs")));
        _hub.Storage.ForgetRequests();
        await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        Assert.Empty(_hub.Storage.Requests);
    }

    [LinuxFact]
    public async Task Download_LinkThatLeadsNowhere_IsMended()
    {
        using var downloads = Create();
        var folder = await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        var weights = Path.Combine(folder, "model.safetensors");
        File.Delete(File.ResolveLinkTarget(weights, returnFinalTarget: true)!.FullName);
        await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        Assert.Equal(HubSample.Weights, File.ReadAllBytes(weights));
    }

    [Fact]
    public async Task DownloadFile_BranchThatMoved_FollowsIt()
    {
        _repository.Add(HubSample.First, "x", "one"u8.ToArray());
        _repository.Add(HubSample.Second, "x", "two"u8.ToArray());
        using var downloads = Create();
        var repository = new HubRepository("acme/model");
        Assert.Equal("one", File.ReadAllText(await downloads.DownloadFileAsync(repository, "x")));
        _repository.SetRef("main", HubSample.Second);
        Assert.Equal("two", File.ReadAllText(await downloads.DownloadFileAsync(repository, "x")));
        Assert.Equal(HubSample.Second, File.ReadAllText(Path.Combine(Cache, "models--acme--model", "refs", "main")));
    }

    [Fact]
    public async Task DownloadFile_CommitThatIsThere_AsksNobody()
    {
        using var downloads = Create();
        var pinned = new HubDownloadOptions { Revision = HubSample.First };
        var path = await downloads.DownloadFileAsync(HubSample.Tiny, "config.json", pinned);
        var requests = downloads.Traffic.Requests;
        Assert.Equal(path, await downloads.DownloadFileAsync(HubSample.Tiny, "config.json", pinned));
        Assert.Equal(requests, downloads.Traffic.Requests);
        Assert.False(Directory.Exists(Path.Combine(Cache, "models--acme--tiny", "refs")));
    }

    [Fact]
    public async Task DownloadFile_HubGone_UsesTheCache()
    {
        string path;
        using (var downloads = Create())
        {
            path = await downloads.DownloadFileAsync(HubSample.Tiny, "config.json");
        }

        using var nobody = new HubDownloads(new RemoteOptions { Hub = new HubSettings { Endpoint = new Uri("http://127.0.0.1:9"), CacheFolder = Cache }, MaximumRetries = 0 }, _log);
        Assert.Equal(path, await nobody.DownloadFileAsync(HubSample.Tiny, "config.json"));
        Assert.Contains("CacheUsed", _log.Events);
        Assert.Equal(RemoteFailure.Network, (await Assert.ThrowsAsync<RemoteException>(() => nobody.DownloadFileAsync(HubSample.Tiny, "model.safetensors"))).Failure);
    }

    [Fact]
    public async Task DownloadFile_CutAndBusyServer_ComesAllTheSame()
    {
        var content = new RemoteContent([], 3_000_000, seed: 9);
        var file = _repository.Add(HubSample.First, "big.bin", content, isLarge: true);
        file.Served.Faults = request => (request % 4) switch { 1 => new RemoteFault { Status = 503, RetryAfter = "0" }, 2 => new RemoteFault { CutAfter = 100_000 }, _ => null };
        using var downloads = new HubDownloads(HubSample.Options(_hub, Cache) with { MaximumRetries = 9 });
        var path = await downloads.DownloadFileAsync(new HubRepository("acme/model"), "big.bin");
        Assert.Equal(content.Slice(0, 3_000_000), File.ReadAllBytes(path));
    }

    [Fact]
    public async Task DownloadFile_WrongContent_IsCorruptAndLeavesNothing()
    {
        var file = _repository.Add(HubSample.First, "x.bin", new RemoteContent([], 200_000, seed: 1), isLarge: true);
        file.Served.Content = new RemoteContent([], 200_000, seed: 2);
        using var downloads = Create();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadFileAsync(new HubRepository("acme/model"), "x.bin"));
        Assert.Equal(RemoteFailure.Corrupt, exception.Failure);
        Assert.Contains(file.Tag, exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Cache, "models--acme--model", "blobs")));
    }

    [Fact]
    public async Task DownloadFile_WrongLength_IsCorrupt()
    {
        var file = _repository.Add(HubSample.First, "x.bin", new RemoteContent([], 200_000, seed: 1), isLarge: true);
        using var downloads = Create();
        file.Served.FailAlways(new RemoteFault { ContentRange = "bytes 0-0/100000" });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadFileAsync(new HubRepository("acme/model"), "x.bin"));
        Assert.Equal(RemoteFailure.Corrupt, exception.Failure);
    }

    [Fact]
    public async Task DownloadFile_ServerWithoutRanges_ComesInOneGo()
    {
        var content = new RemoteContent([], 300_000, seed: 1);
        var file = _repository.Add(HubSample.First, "x.bin", content, isLarge: true);
        file.Served.FailAlways(new RemoteFault { WithoutRanges = true });
        using var downloads = Create();
        Assert.Equal(content.Slice(0, 300_000), File.ReadAllBytes(await downloads.DownloadFileAsync(new HubRepository("acme/model"), "x.bin")));
    }

    [Fact]
    public async Task DownloadFile_BlobThatHuggingfaceHubHasBegun_GoesOn()
    {
        var content = new RemoteContent([], 2_000_000, seed: 1);
        var file = _repository.Add(HubSample.First, "x.bin", content, isLarge: true);
        _folder.Write($"cache/models--acme--model/blobs/{file.Tag}.incomplete", content.Slice(0, 1_500_000));
        using var downloads = Create();
        Assert.Equal(content.Slice(0, 2_000_000), File.ReadAllBytes(await downloads.DownloadFileAsync(new HubRepository("acme/model"), "x.bin")));
        Assert.InRange(_hub.Storage.BytesSent, 500_000, 500_001);
    }

    [Fact]
    public async Task DownloadFile_ToALocalFolder_FetchesWhatHasChanged()
    {
        using var downloads = Create();
        var local = new HubDownloadOptions { LocalFolder = _folder["local"] };
        var path = await downloads.DownloadFileAsync(HubSample.Tiny, "model.safetensors", local);
        _hub.Storage.ForgetRequests();
        await downloads.DownloadFileAsync(HubSample.Tiny, "model.safetensors", local);
        Assert.Empty(_hub.Storage.Requests);
        // What is not known but has the hash.
        Directory.Delete(_folder["local/.cache"], recursive: true);
        await downloads.DownloadFileAsync(HubSample.Tiny, "model.safetensors", local);
        Assert.Empty(_hub.Storage.Requests);
        // What was changed since.
        File.WriteAllText(path, "changed");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(1));
        await downloads.DownloadFileAsync(HubSample.Tiny, "model.safetensors", local);
        Assert.NotEmpty(_hub.Storage.Requests);
        Assert.Equal(HubSample.Weights, File.ReadAllBytes(path));
        Assert.False(Directory.Exists(Cache));
    }

    [Fact]
    public async Task DownloadFile_ToALocalFolderWithTheCacheFull_Copies()
    {
        using var downloads = Create();
        await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        _hub.Storage.ForgetRequests();
        var folder = await downloads.DownloadSnapshotAsync(HubSample.Tiny, new HubDownloadOptions { LocalFolder = _folder["local"] });
        Assert.Empty(_hub.Storage.Requests);
        Assert.Equal(HubSample.Weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Equal("same", File.ReadAllText(Path.Combine(folder, "sub", "dir", "file.txt")));
    }

    [Theory]
    [InlineData(RemoteAccess.Cache)]
    [InlineData(RemoteAccess.Stream)]
    public async Task Open_Address_HasTheTensor(RemoteAccess access)
    {
        var progress = new RecordedDownload();
        using var remote = RemoteCheckpoints.Create(HubSample.Options(_hub, Cache) with { Access = access, Progress = progress, Logger = _log });
        foreach (var address in new[] { "hf://acme/tiny", "hf://acme/tiny@v1.0/model.safetensors" })
        {
            await using var checkpoint = await Checkpoint.OpenAsync(address, new CheckpointOptions { Remote = remote });
            var bytes = new byte[4];
            await checkpoint.Tensors[0].File.Source.ReadExactlyAsync(checkpoint.Tensors[0].DataOffset, bytes);
            Assert.Equal(1f, BitConverter.ToSingle(bytes));
        }

        Assert.Equal(access == RemoteAccess.Cache, Directory.Exists(Cache));
        Assert.Equal(access == RemoteAccess.Cache, progress.Reports.Count > 0);
    }

    [Fact]
    public async Task Open_StreamOfWhatTheCacheHas_ReadsItHere()
    {
        using (var downloads = Create())
        {
            await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        }

        _hub.Storage.ForgetRequests();
        using var remote = RemoteCheckpoints.Create(HubSample.Options(_hub, Cache) with { Access = RemoteAccess.Stream });
        await using var checkpoint = await Checkpoint.OpenAsync("hf://acme/tiny", new CheckpointOptions { Remote = remote });
        Assert.Single(checkpoint.Tensors);
        Assert.Empty(_hub.Storage.Requests);
    }

    [Fact]
    public async Task Open_SeveralGgufModels_AsksWhichBeforeItDownloads()
    {
        _repository.Add(HubSample.First, "a-Q4_K_M.gguf", Encoding.ASCII.GetBytes("GGUF"), isLarge: true);
        _repository.Add(HubSample.First, "a-Q8_0.gguf", Encoding.ASCII.GetBytes("GGUF"), isLarge: true);
        using var remote = RemoteCheckpoints.Create(HubSample.Options(_hub, Cache));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync("hf://acme/model", new CheckpointOptions { Remote = remote }));
        Assert.Equal(CheckpointErrorCode.Ambiguous, exception.Code);
        Assert.Contains("hf://acme/model/a-Q4_K_M.gguf", exception.Message, StringComparison.Ordinal);
        Assert.Empty(_hub.Storage.Requests);
    }

    [Fact]
    public async Task Open_PathThatIsNotThere_SaysSo()
    {
        using var remote = RemoteCheckpoints.Create(HubSample.Options(_hub, Cache));
        var exception = await Assert.ThrowsAsync<RemoteException>(() => Checkpoint.OpenAsync("hf://acme/tiny/nowhere", new CheckpointOptions { Remote = remote }));
        Assert.Equal(RemoteFailure.EntryMissing, exception.Failure);
    }

    [Fact]
    public async Task DownloadSnapshot_Path_IsNoPattern()
    {
        _repository.Add(HubSample.First, "a[1]/x.txt", "in brackets"u8.ToArray());
        _repository.Add(HubSample.First, "a1/y.txt", "beside them"u8.ToArray());
        using var downloads = Create();
        var repository = new HubRepository("acme/model");
        var folder = await downloads.DownloadSnapshotAsync(repository, new HubDownloadOptions { Path = "a[1]" });
        Assert.Equal(["a[1]"], Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName));
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(repository, new HubDownloadOptions { Path = "a" }));
        Assert.Equal(RemoteFailure.EntryMissing, exception.Failure);
        using var offline = new HubDownloads(HubSample.Options(_hub, Cache) with { Offline = true });
        Assert.Equal(folder, await offline.DownloadSnapshotAsync(repository, new HubDownloadOptions { Path = "a[1]/x.txt" }));
        Assert.Equal(RemoteFailure.Offline, (await Assert.ThrowsAsync<RemoteException>(() => offline.DownloadSnapshotAsync(repository, new HubDownloadOptions { Path = "a1" }))).Failure);
    }

    [Fact]
    public async Task DownloadIndex_HubGone_HasNone()
    {
        using var nobody = new HubDownloads(new RemoteOptions { Hub = new HubSettings { Endpoint = new Uri("http://127.0.0.1:9"), CacheFolder = Cache }, MaximumRetries = 0 }, _log);
        Assert.Null(await nobody.DownloadIndexAsync(HubSample.Tiny, "model.safetensors.index.json"));
        Assert.Contains("NoIndexLocal", _log.Events);
    }

    [Fact]
    public async Task Open_HubGone_AsksOnceAndUsesTheCache()
    {
        using (var downloads = Create())
        {
            await downloads.DownloadSnapshotAsync(HubSample.Tiny);
        }

        const string description = "/api/models/acme/tiny/revision/main";
        _hub.Hub.Map(description, context =>
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        _hub.Hub.ForgetRequests();
        using var remote = RemoteCheckpoints.Create(HubSample.Options(_hub, Cache) with { MaximumRetries = 0, Logger = _log });
        await using var checkpoint = await Checkpoint.OpenAsync("hf://acme/tiny", new CheckpointOptions { Remote = remote });
        Assert.Equal("w", Assert.Single(checkpoint.Tensors).Name);
        Assert.Single(_hub.Hub.Requests);
        Assert.Contains("CacheUsed", _log.Events);
    }

    private HubDownloads Create(string? token = null) => new(HubSample.Options(_hub, Cache, token), _log);
}
