using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The rules of vLLM's <c>download_weights_from_hf</c> and <c>download_safetensors_index_file_from_hf</c>.</summary>
public sealed class HubWeightsTests : IAsyncLifetime, IDisposable
{
    private static readonly HubRepository Model = new("acme/model");

    private readonly TemporaryFolder _folder = new();
    private readonly RecordedLog _log = new();
    private HubDouble _hub = null!;
    private HubDoubleRepository _repository = null!;
    private HubDownloads _downloads = null!;

    public async Task InitializeAsync()
    {
        _hub = await HubDouble.StartAsync();
        _repository = _hub.Add(Model.Name);
        _repository.SetRef("main", HubSample.First);
        Add("config.json");
        _downloads = new HubDownloads(HubSample.Options(_hub, _folder["cache"]), _log);
    }

    public async Task DisposeAsync()
    {
        _downloads.Dispose();
        await _hub.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Download_SeveralPatternsFit_TakesTheFirstOnly()
    {
        Add("a.bin", "b.safetensors", "c.pt");
        Assert.Equal(["b.safetensors"], await DownloadAsync("*.safetensors", "*.bin", "*.pt"));
    }

    [Fact]
    public async Task Download_FirstPatternFitsNothing_TakesTheNext()
    {
        Add("a.bin", "b.bin", "c.pt");
        Assert.Equal(["a.bin", "b.bin"], await DownloadAsync("*.safetensors", "*.bin", "*.pt"));
    }

    [Fact]
    public async Task Download_PatternFitsOnlyInAFolder_DoesNotChooseByIt()
    {
        Add("sub/b.safetensors", "a.bin");
        Assert.Equal(["a.bin"], await DownloadAsync("*.safetensors", "*.bin"));
    }

    [Fact]
    public async Task Download_WithoutAnIndex_TakesFoldersToo()
    {
        Add("b.safetensors", "sub/b.safetensors", "original/x/b.safetensors");
        Assert.Equal(["b.safetensors", "sub/b.safetensors"], await DownloadAsync("*.safetensors"));
    }

    [Fact]
    public async Task Download_IgnorePatterns_ReplaceTheDefault()
    {
        Add("b.safetensors", "c.safetensors", "original/x/b.safetensors");
        var folder = await _downloads.DownloadWeightsAsync(Model, ["*.safetensors"], new HubDownloadOptions { IgnorePatterns = ["c*"] });
        Assert.Equal(["b.safetensors", "original/x/b.safetensors"], Files(folder));
    }

    [Fact]
    public async Task Download_Index_ChoosesWhatItNames()
    {
        Add("a.safetensors", "b.safetensors", "consolidated.safetensors");
        AddIndex("""{"weight_map": {"x": "a.safetensors", "y": "b.safetensors", "z": "a.safetensors", "w": "missing.safetensors"}}""");
        Assert.Equal(["a.safetensors", "b.safetensors", "model.safetensors.index.json"], await DownloadAsync("*.safetensors", "*.bin"));
    }

    [Fact]
    public async Task Download_IndexWithoutTensors_TakesThePattern()
    {
        Add("a.safetensors");
        AddIndex("""{"weight_map": {}}""");
        Assert.Equal(["a.safetensors", "model.safetensors.index.json"], await DownloadAsync("*.safetensors"));
    }

    [Fact]
    public async Task Download_IndexAndAnotherPattern_DoesNotReadTheIndex()
    {
        Add("a.bin");
        AddIndex("no JSON");
        Assert.Equal(["a.bin"], await DownloadAsync("*.bin"));
    }

    [Fact]
    public async Task Download_IndexThatIsNone_WarnsAndTriesThePatterns()
    {
        Add("a.safetensors");
        AddIndex("no JSON");
        Assert.Equal(["a.safetensors", "model.safetensors.index.json"], await DownloadAsync("*.safetensors"));
        Assert.Contains("ListingFailed", _log.Events);
    }

    [Fact]
    public async Task Download_IndexWithNamesThatLeadElsewhere_TakesNoneOfThem()
    {
        Add("a.safetensors");
        AddIndex("""{"weight_map": {"x": "../../../../escaped", "y": "/etc/passwd", "z": "a.safetensors", "w": "*"}}""");
        Assert.Equal(["a.safetensors", "model.safetensors.index.json"], await DownloadAsync("*.safetensors"));
        Assert.Equal(["cache"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(entry => Path.GetFileName(entry)));
    }

    [Fact]
    public async Task Download_NothingFits_SaysWhatWasTried()
    {
        var exception = await Assert.ThrowsAsync<RemoteException>(() => DownloadAsync("*.safetensors", "*.bin"));
        Assert.Equal(RemoteFailure.EntryMissing, exception.Failure);
        Assert.Contains("'*.safetensors', '*.bin'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'config.json'", exception.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["cache"]));
    }

    [Fact]
    public async Task Download_WeightsInFoldersAlone_GoesThroughAllPatterns()
    {
        Add("sub/b.safetensors", "sub/a.bin");
        Assert.Equal(["sub/a.bin", "sub/b.safetensors"], await DownloadAsync("*.safetensors", "*.bin", "*.pt"));
    }

    [Fact]
    public async Task Download_IndexThatNamesNothingThere_SaysWhatItNames()
    {
        Add("a.safetensors");
        AddIndex("""{"weight_map": {"x": "missing.safetensors"}}""");
        var exception = await Assert.ThrowsAsync<RemoteException>(() => DownloadAsync("*.safetensors"));
        Assert.Equal(RemoteFailure.EntryMissing, exception.Failure);
        Assert.Contains("'missing.safetensors'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_HubGoneAndWeightsOfALaterPatternThere_UsesThem()
    {
        Add("a.bin");
        await DownloadAsync("*.safetensors", "*.bin");
        _repository.ListingStatus = 500;
        Assert.Equal(["a.bin"], await DownloadAsync("*.safetensors", "*.bin", "*.pt"));
    }

    [Fact]
    public async Task Download_NoPatterns_Throws() => await Assert.ThrowsAsync<ArgumentException>(() => _downloads.DownloadWeightsAsync(Model, []));

    [Fact]
    public async Task Download_HubGoneAndCacheThere_UsesTheCache()
    {
        Add("b.safetensors");
        await DownloadAsync("*.safetensors");
        _repository.ListingStatus = 500;
        Assert.Equal(["b.safetensors"], await DownloadAsync("*.safetensors", "*.bin"));
        Assert.Contains("ListingFailed", _log.Events);
        Assert.Contains("CacheUsed", _log.Events);
    }

    [Fact]
    public async Task Download_Offline_AsksNobody()
    {
        Add("b.safetensors");
        var expected = await _downloads.DownloadWeightsAsync(Model, ["*.safetensors"]);
        var requests = _hub.Hub.Requests.Count;
        using var offline = new HubDownloads(HubSample.Options(_hub, _folder["cache"]) with { Offline = true });
        Assert.Equal(expected, await offline.DownloadWeightsAsync(Model, ["*.bin", "*.safetensors"]));
        Assert.Equal(requests, _hub.Hub.Requests.Count);
        var exception = await Assert.ThrowsAsync<RemoteException>(() => offline.DownloadWeightsAsync(new HubRepository("acme/other"), ["*.bin"]));
        Assert.Equal(RemoteFailure.Offline, exception.Failure);
    }

    [Fact]
    public async Task Download_LongerThanHalfASecond_LogsTheTime()
    {
        Add("b.safetensors");
        var time = new ManualTime();
        using var downloads = new HubDownloads(HubSample.Options(_hub, _folder["slow"]), _log, time);
        await downloads.DownloadWeightsAsync(Model, ["*.safetensors"], progress: new MovingProgress(time, TimeSpan.FromSeconds(0.3)));
        Assert.DoesNotContain("WeightsDownloaded", _log.Events);
        await downloads.DownloadWeightsAsync(Model, ["*.safetensors"], new HubDownloadOptions { Force = true }, new MovingProgress(time, TimeSpan.FromSeconds(0.75)));
        Assert.Contains("WeightsDownloaded", _log.Events);
        Assert.Contains("weights for acme/model: 0.750000 seconds", _log.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DownloadIndex_ThereIsOne_GivesItsPath()
    {
        AddIndex("{}");
        Assert.EndsWith("model.safetensors.index.json", await _downloads.DownloadIndexAsync(Model, "model.safetensors.index.json"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task DownloadIndex_ThereIsNone_IsLoggedAndNoFailure()
    {
        Assert.Null(await _downloads.DownloadIndexAsync(Model, "model.safetensors.index.json"));
        using var offline = new HubDownloads(HubSample.Options(_hub, _folder["cache"]) with { Offline = true }, _log);
        Assert.Null(await offline.DownloadIndexAsync(Model, "model.safetensors.index.json"));
        Assert.Equal(["NoIndexRemote", "NoIndexLocal"], _log.Events);
    }

    [Fact]
    public async Task DownloadIndex_NoRepository_Throws()
    {
        var exception = await Assert.ThrowsAsync<RemoteException>(() => _downloads.DownloadIndexAsync(new HubRepository("acme/nothing"), "x.json"));
        Assert.Equal(RemoteFailure.RepositoryMissing, exception.Failure);
    }

    [Fact]
    public void Lock_Model_IsVllms()
    {
        // printf 'acme-model' | sha256sum
        const string hash = "3c0bae0c71b4dc29e1306abfe88009ace1c8d596b7ee27b8e03ff2f3d5bb8c0e";
        Assert.Equal(_folder[hash + "acme-model.lock"], ModelLock.PathOf("acme/model", _folder.Path));
        Assert.Equal(Path.GetTempPath().TrimEnd('/'), Path.GetDirectoryName(ModelLock.PathOf("acme/model", null)));
    }

    private void Add(params string[] paths)
    {
        foreach (var path in paths)
        {
            _repository.Add(HubSample.First, path, Encoding.ASCII.GetBytes(path), isLarge: path.EndsWith(".safetensors", StringComparison.Ordinal));
        }
    }

    private void AddIndex(string json) => _repository.Add(HubSample.First, "model.safetensors.index.json", Encoding.ASCII.GetBytes(json));

    private async Task<string[]> DownloadAsync(params string[] patterns) => Files(await _downloads.DownloadWeightsAsync(Model, patterns));

    private static string[] Files(string folder) =>
        !Directory.Exists(folder) ? [] : [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal)];

    // Time goes on where the download says that something has come.
    private sealed class MovingProgress(ManualTime time, TimeSpan step) : IProgress<DownloadProgress>
    {
        public void Report(DownloadProgress value)
        {
            if (value.Files == value.TotalFiles)
            {
                time.Advance(step);
            }
        }
    }
}
