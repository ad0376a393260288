using System.Security.Cryptography;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ModelScopeDownloadsTests : IAsyncLifetime, IDisposable
{
    private const string Model = "acme/tiny-1.5";
    private const string Secret = "ms-secretsecret";

    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, (RemoteFile File, string? Sha256)> _files = new(StringComparer.Ordinal);
    private readonly RecordedLog _log = new();
    private RemoteServer _server = null!;
    private string? _wantedCookie;
    private string? _listedTwice;

    public async Task InitializeAsync()
    {
        _server = await RemoteServer.StartAsync();
        _server.Map($"/api/v1/models/{Model}/repo/files", ListAsync);
        _server.Map($"/api/v1/models/{Model}/repo", SendAsync);
        Add("config.json", "{}"u8.ToArray());
        Add("model.safetensors", HubSample.Weights);
        Add("sub/file.txt", "same"u8.ToArray());
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public async Task Download_Model_LiesWhereItsLibraryLooks()
    {
        using var downloads = Create();
        var folder = await downloads.DownloadSnapshotAsync(Model);
        Assert.Equal(_folder["cache/models/acme/tiny-1___5"], folder);
        Assert.Equal(["config.json", "model.safetensors", "sub/file.txt"], Files(folder));
        Assert.Equal(HubSample.Weights, File.ReadAllBytes(_folder["cache/models/acme/tiny-1.5/model.safetensors"]));
        Assert.True(File.Exists(_folder["cache/.lock/acme___tiny-1.5"]));
        Assert.Contains(_server.Requests, request => request.Query == "?Revision=master&Recursive=True");
    }

    [Fact]
    public async Task Download_Twice_FetchesOnlyWhatHasChanged()
    {
        using var downloads = Create();
        var folder = await downloads.DownloadSnapshotAsync(Model);
        _server.ForgetRequests();
        await downloads.DownloadSnapshotAsync(Model);
        Assert.Single(_server.Requests);
        File.WriteAllText(Path.Combine(folder, "config.json"), "[]");
        await downloads.DownloadSnapshotAsync(Model);
        Assert.Equal("{}", File.ReadAllText(Path.Combine(folder, "config.json")));
        Assert.DoesNotContain(_server.Requests, request => request.Query.Contains("safetensors", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Download_OfWhatLooksAsItDid_ReadsItOnceAndThenNoMore()
    {
        using var downloads = Create();
        var file = Path.Combine(await downloads.DownloadSnapshotAsync(Model), "model.safetensors");
        var settled = DateTime.UtcNow - TimeSpan.FromMinutes(1);
        File.SetLastWriteTimeUtc(file, settled);
        await downloads.DownloadSnapshotAsync(Model);
        _server.ForgetRequests();

        // What changes neither the size nor the time is believed: that it is shows that nothing was read.
        Overwrite(file, settled);
        await downloads.DownloadSnapshotAsync(Model);
        Assert.Single(_server.Requests);
        Assert.NotEqual(HubSample.Weights, File.ReadAllBytes(file));

        Overwrite(file, settled + TimeSpan.FromSeconds(1));
        await downloads.DownloadSnapshotAsync(Model);
        Assert.Equal(HubSample.Weights, File.ReadAllBytes(file));
    }

    [Fact]
    public async Task Download_OfWhatHasJustChanged_ReadsItEachTime()
    {
        using var downloads = Create();
        var file = Path.Combine(await downloads.DownloadSnapshotAsync(Model), "model.safetensors");
        var now = File.GetLastWriteTimeUtc(file) + TimeSpan.FromMinutes(1);
        File.SetLastWriteTimeUtc(file, now);
        await downloads.DownloadSnapshotAsync(Model);
        Overwrite(file, now);
        await downloads.DownloadSnapshotAsync(Model);
        Assert.Equal(HubSample.Weights, File.ReadAllBytes(file));
    }

    [Theory]
    [InlineData("local")]
    [InlineData("force")]
    [InlineData("another hash")]
    [InlineData("no record")]
    public async Task Download_WhereNothingIsKnown_ReadsFiles(string what)
    {
        var options = new HubDownloadOptions { LocalFolder = what == "local" ? _folder["local"] : null };
        using var downloads = Create();
        var file = Path.Combine(await downloads.DownloadSnapshotAsync(Model, options), "model.safetensors");
        var settled = DateTime.UtcNow - TimeSpan.FromMinutes(1);
        File.SetLastWriteTimeUtc(file, settled);
        await downloads.DownloadSnapshotAsync(Model, options);
        Overwrite(file, settled);
        var expected = HubSample.Weights;
        switch (what)
        {
            case "another hash":
                expected = [.. HubSample.Weights.AsSpan(0, HubSample.Weights.Length - 1), 0x40];
                Add("model.safetensors", expected);
                break;
            case "no record":
                File.WriteAllText(_folder["cache/.ilgpu-loader/acme___tiny-1.5"], "of somebody else\n\n0 0 0\n");
                break;
            default:
                break;
        }

        await downloads.DownloadSnapshotAsync(Model, options with { Force = what == "force" });
        Assert.Equal(expected, File.ReadAllBytes(file));
    }

    [LinuxFact]
    public async Task Download_RecordThatCannotBeKept_IsSaidAndNoFailure()
    {
        Directory.CreateDirectory(_folder["cache"]);
        File.WriteAllText(_folder["cache/.ilgpu-loader"], "a file where a folder should be");
        using var downloads = Create();
        var file = Path.Combine(await downloads.DownloadSnapshotAsync(Model), "model.safetensors");
        File.SetLastWriteTimeUtc(file, DateTime.UtcNow - TimeSpan.FromMinutes(1));
        await downloads.DownloadSnapshotAsync(Model);
        Assert.Contains("cannot be kept, and they are read again the next time", _log.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_Patterns_ChooseFiles()
    {
        using var downloads = Create();
        var folder = await downloads.DownloadSnapshotAsync(Model, new HubDownloadOptions { AllowPatterns = ["*.json", "*.txt"], IgnorePatterns = ["sub/*"], LocalFolder = _folder["local"] });
        Assert.Equal(_folder["local"], folder);
        Assert.Equal(["config.json"], Files(folder));
    }

    [Fact]
    public async Task Download_WrongContent_IsCorrupt()
    {
        _files["config.json"] = (_files["config.json"].File, new string('0', 64));
        using var downloads = Create();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(Model));
        Assert.Equal(RemoteFailure.Corrupt, exception.Failure);
        Assert.False(File.Exists(_folder["cache/models/acme/tiny-1___5/config.json"]));
    }

    [Fact]
    public async Task Download_NoHashGiven_TakesTheSize()
    {
        _files["config.json"] = (_files["config.json"].File, null);
        using var downloads = Create();
        Assert.Equal("{}", File.ReadAllText(Path.Combine(await downloads.DownloadSnapshotAsync(Model), "config.json")));
    }

    [Fact]
    public async Task Download_NoHashGiven_BeginsAgain()
    {
        _files["config.json"] = (_files["config.json"].File, null);
        var path = _folder["cache/models/acme/tiny-1___5/config.json"];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using (var other = PartialFile.Open(path, 2, 1 << 20, prefix: null, isChecked: false, FileSystemCalls.Native))
        {
            other.Append(0, "["u8);
        }

        using var downloads = Create();
        await downloads.DownloadSnapshotAsync(Model);
        Assert.Equal("{}", File.ReadAllText(path));
    }

    [Fact]
    public async Task Download_Path_IsNoPattern()
    {
        Add("a[1]/x.txt", "in brackets"u8.ToArray());
        Add("a1/y.txt", "beside them"u8.ToArray());
        using var downloads = Create();
        Assert.Equal(["a[1]/x.txt"], Files(await downloads.DownloadSnapshotAsync(Model, new HubDownloadOptions { Path = "a[1]" })));
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(Model, new HubDownloadOptions { Path = "a" }));
        Assert.Equal(RemoteFailure.EntryMissing, exception.Failure);
        using var offline = new ModelScopeDownloads(Options() with { Offline = true });
        await offline.DownloadSnapshotAsync(Model, new HubDownloadOptions { Path = "a[1]" });
        Assert.Equal(RemoteFailure.Offline, (await Assert.ThrowsAsync<RemoteException>(() => offline.DownloadSnapshotAsync(Model, new HubDownloadOptions { Path = "a1" }))).Failure);
    }

    [Fact]
    public async Task Download_ListThatCannotBe_IsRefused()
    {
        using var downloads = Create();
        _listedTwice = "config.json";
        Assert.Contains("twice", (await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(Model))).Message, StringComparison.Ordinal);
        _listedTwice = null;
        _files["huge"] = (new RemoteFile(new RemoteContent([], RemoteJson.MaximumFileBytes + 1, seed: 1)), null);
        Assert.Contains("8796093022209", (await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(Model))).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData(".git/hooks/post-checkout")]
    [InlineData("sub/.GIT/config")]
    [InlineData(".cache/huggingface/download/config.json.metadata")]
    [InlineData("../escaped")]
    [InlineData("/etc/escaped")]
    [InlineData("a\\..\\b")]
    public async Task Download_NameThatLeadsElsewhere_IsRefused(string path)
    {
        Add(path, "content"u8.ToArray());
        using var downloads = Create();
        Assert.Equal(RemoteFailure.Unsafe, (await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(Model))).Failure);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Download_PrivateModel_TakesTheTokenAndNeverSaysIt()
    {
        _wantedCookie = $"m_session_id={Secret}";
        using (var without = Create())
        {
            var exception = await Assert.ThrowsAsync<RemoteException>(() => without.DownloadSnapshotAsync(Model));
            Assert.Equal(RemoteFailure.Unauthorized, exception.Failure);
            Assert.Contains("MODELSCOPE_API_TOKEN", exception.Message, StringComparison.Ordinal);
        }

        using var downloads = Create(Secret);
        await downloads.DownloadSnapshotAsync(Model);
        Assert.DoesNotContain(Secret, _log.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_NoSuchModel_SaysSo()
    {
        using var downloads = Create();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync("acme/nothing"));
        Assert.Equal(RemoteFailure.RepositoryMissing, exception.Failure);
    }

    [Fact]
    public async Task Download_Offline_TakesWhatIsThere()
    {
        using (var downloads = Create())
        {
            await downloads.DownloadSnapshotAsync(Model);
        }

        _server.ForgetRequests();
        using var offline = new ModelScopeDownloads(Options() with { Offline = true });
        Assert.Equal(_folder["cache/models/acme/tiny-1___5"], await offline.DownloadSnapshotAsync(Model));
        Assert.Equal(RemoteFailure.Offline, (await Assert.ThrowsAsync<RemoteException>(() => offline.DownloadSnapshotAsync("acme/other"))).Failure);
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task Download_NothingFits_SaysWhatThereIsAndWritesNothing()
    {
        using var downloads = Create();
        var exception = await Assert.ThrowsAsync<RemoteException>(() => downloads.DownloadSnapshotAsync(Model, new HubDownloadOptions { AllowPatterns = ["*.xyz"] }));
        Assert.Equal(RemoteFailure.EntryMissing, exception.Failure);
        Assert.Contains("'*.xyz'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'config.json'", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Download_OfflineAndNothingThatIsKnownToBeOfIt_Fails()
    {
        string folder;
        using (var downloads = Create())
        {
            folder = await downloads.DownloadSnapshotAsync(Model, new HubDownloadOptions { AllowPatterns = ["*.json"] });
        }

        using var offline = new ModelScopeDownloads(Options() with { Offline = true });
        var progress = new RecordedDownload();
        Assert.Equal(folder, await offline.DownloadSnapshotAsync(Model, progress: progress));
        Assert.Equal(new DownloadProgress(1, 1, 2, 2, 0), progress.Reports[^1]);
        foreach (var options in new HubDownloadOptions[] { new() { AllowPatterns = ["*.safetensors"] }, new() { Force = true }, new() { LocalFolder = folder } })
        {
            Assert.Equal(RemoteFailure.Offline, (await Assert.ThrowsAsync<RemoteException>(() => offline.DownloadSnapshotAsync(Model, options))).Failure);
        }
    }

    [LinuxFact]
    public async Task Download_GoingOnWithLittleRoom_CountsWhatIsReservedAsThere()
    {
        const int length = 1_000_000;
        var content = new RemoteContent([], length, seed: 1).Slice(0, length);
        Add("x.bin", content);
        var stem = _folder["cache/models/acme/tiny-1___5/x.bin"];
        // Between nothing and what is missing.
        using var downloads = new ModelScopeDownloads(RemoteServices.Create(Options(), null, new GivenRoom(100_000)), ownsServices: true);
        await Assert.ThrowsAsync<IOException>(() => downloads.DownloadSnapshotAsync(Model));
        using (var earlier = PartialFile.Open(stem, length, 64 << 10, prefix: null, isChecked: true, FileSystemCalls.Native))
        {
            earlier.Append(0, content.AsSpan(0, 50_000));
        }

        await downloads.DownloadSnapshotAsync(Model);
        Assert.Equal(content, File.ReadAllBytes(stem));
    }

    [Fact]
    public async Task DownloadIfPreferred_IsVllmsRule()
    {
        using var notPreferred = Create();
        Assert.Null(await notPreferred.DownloadIfPreferredAsync(Model));
        var options = Options();
        using var preferred = new ModelScopeDownloads(options with { ModelScope = options.ModelScope with { IsPreferred = true } });
        Assert.Equal(_folder.Path, await preferred.DownloadIfPreferredAsync(_folder.Path));
        Assert.Empty(_server.Requests);
        var chosen = new HubDownloadOptions { CacheFolder = _folder["given"] };
        Assert.Equal(_folder["given/acme/tiny-1___5"], await preferred.DownloadIfPreferredAsync(Model, chosen));
        Assert.True(File.Exists(ModelLock.PathOf(Model, _folder["given"])));
    }

    [Theory]
    [InlineData(RemoteAccess.Cache)]
    [InlineData(RemoteAccess.Stream)]
    public async Task Convert_FromAnAddress_CarriesTheTokenizer_AndOneVariant(RemoteAccess access)
    {
        Add("tokenizer.json", "[]"u8.ToArray());
        Add("model.fp16.safetensors", HubSample.Weights);
        using var remote = RemoteCheckpoints.Create(Options() with { Access = access });
        await using var checkpoint = await Checkpoint.OpenAsync($"ms://{Model}", new CheckpointOptions { Remote = remote, Variant = "fp16" });
        Assert.Equal("model.fp16.safetensors", Assert.Single(checkpoint.Files).Name);
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"]);
        Assert.Equal<IEnumerable<string>>(["config.json", "tokenizer.json"], result.CarriedFiles);
        Assert.Equal("[]", File.ReadAllText(_folder["out/tokenizer.json"]));
        Assert.Equal(access == RemoteAccess.Cache, File.Exists(_folder["cache/models/acme/tiny-1___5/tokenizer.json"]));
        Assert.False(File.Exists(_folder["cache/models/acme/tiny-1___5/model.safetensors"]));
    }

    [Theory]
    [InlineData(RemoteAccess.Cache)]
    [InlineData(RemoteAccess.Stream)]
    public async Task Open_Address_HasTheTensor(RemoteAccess access)
    {
        using var remote = RemoteCheckpoints.Create(Options() with { Access = access });
        foreach (var address in new[] { $"ms://{Model}", $"ms://{Model}@master/model.safetensors" })
        {
            await using var checkpoint = await Checkpoint.OpenAsync(address, new CheckpointOptions { Remote = remote });
            Assert.Equal("w", Assert.Single(checkpoint.Tensors).Name);
        }

        Assert.Equal(access == RemoteAccess.Cache, Directory.Exists(_folder["cache"]));
        Assert.False(File.Exists(_folder["cache/models/acme/tiny-1___5/sub/file.txt"]));
    }

    [Theory]
    [InlineData("ms://acme/tiny-1.5", "acme/tiny-1.5", null, "")]
    [InlineData("ms://acme/tiny@v1/a/b.bin", "acme/tiny", "v1", "a/b.bin")]
    [InlineData("acme/tiny@a%2Fb", "acme/tiny", "a/b", "")]
    public void Parse_Address_HasItsParts(string address, string model, string? revision, string path)
    {
        var parsed = ModelScopeAddress.Parse(address);
        Assert.Equal((model, revision, path), (parsed.Model, parsed.Revision, parsed.Path));
        Assert.Equal(parsed, ModelScopeAddress.Parse(parsed.ToString()));
    }

    [Theory]
    [InlineData("ms://acme")]
    [InlineData("hf://acme/tiny")]
    [InlineData("ms://../tiny")]
    public void Parse_NoAddressOfModelScope_Throws(string address) => Assert.Throws<ArgumentException>(() => ModelScopeAddress.Parse(address));

    // Other bytes of the same number.
    private static void Overwrite(string file, DateTime lastWrite)
    {
        var bytes = File.ReadAllBytes(file);
        bytes[^1] ^= 1;
        File.WriteAllBytes(file, bytes);
        File.SetLastWriteTimeUtc(file, lastWrite);
    }

    private static string[] Files(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal)];

    private void Add(string path, byte[] content) => _files[path] = (new RemoteFile(new RemoteContent(content)), Convert.ToHexStringLower(SHA256.HashData(content)));

    private RemoteOptions Options(string? token = null) =>
        new() { ModelScope = new ModelScopeSettings { Endpoint = _server.Address, CacheFolder = _folder["cache"], Token = token }, MaximumRetries = 1 };

    private ModelScopeDownloads Create(string? token = null) => new(Options(token), _log);

    private async Task ListAsync(HttpContext context)
    {
        if (_wantedCookie is not null && context.Request.Headers.Cookie != _wantedCookie)
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return;
        }

        var files = _files.Select(entry => new { Path = entry.Key, Type = "blob", Size = entry.Value.File.Content.Length, entry.Value.Sha256 })
            .Concat(_listedTwice is null ? [] : [new { Path = _listedTwice, Type = "blob", Size = 2L, Sha256 = (string?)null }])
            .Append(new { Path = "sub", Type = "tree", Size = 0L, Sha256 = (string?)"" });
        await context.Response.WriteAsync(JsonSerializer.Serialize(new { Code = 200, Success = true, Data = new { Files = files } }));
    }

    private Task SendAsync(HttpContext context)
    {
        if (_wantedCookie is not null && context.Request.Headers.Cookie != _wantedCookie)
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return Task.CompletedTask;
        }

        return _server.SendAsync(context, _files[context.Request.Query["FilePath"]!].File);
    }
}
