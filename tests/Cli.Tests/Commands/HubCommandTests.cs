using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>Commands on repositories of a Hub, which is a double on the loopback that the environment names.</summary>
[Collection(EnvironmentTests.Name)]
public sealed class HubCommandTests : IAsyncLifetime, IDisposable
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";
    private const string Token = "hf_secretsecretsecret";
    private const string Address = "hf://org/name";

    private static readonly string[] Variables = ["HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE"];

    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, string?> _before = Variables.ToDictionary(name => name, Environment.GetEnvironmentVariable);
    private readonly byte[] _weights = new SafetensorsBuilder().Add("layers.0.a", "F32", [4], new byte[16]).ToBytes();
    private HubDouble _hub = null!;
    private HubDoubleRepository _repository = null!;

    private string Cache => _folder["cache"];

    public async Task InitializeAsync()
    {
        _hub = await HubDouble.StartAsync();
        _repository = _hub.Add("org/name");
        _repository.SetRef("main", Commit);
        _repository.Add(Commit, "config.json", "{}"u8.ToArray());
        _repository.Add(Commit, "model.safetensors", _weights, isLarge: true);
        _repository.Add(Commit, "original/consolidated.bin", [1, 2, 3], isLarge: true);
        Set("HF_ENDPOINT", _hub.Hub.Address.ToString());
        Set("HF_HOME", _folder["home"]);
        Set("HF_HUB_CACHE", Cache);
        Set("HF_TOKEN", Token);
        Set("HF_HUB_OFFLINE", null);
    }

    public async Task DisposeAsync()
    {
        foreach (var (name, value) in _before)
        {
            Set(name, value);
        }

        await _hub.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Download_Repository_PrintsTheFolderThatHasAllOfIt_AndFetchesNothingTwice()
    {
        var run = await ToolRun.OfAsync("download", Address);
        Assert.Equal((0, Path.Combine(Cache, "models--org--name", "snapshots", Commit)), (run.ExitCode, run.Out.TrimEnd('\n')));
        Assert.Equal(_weights, await File.ReadAllBytesAsync(Path.Combine(run.Out.TrimEnd('\n'), "model.safetensors")));
        Assert.True(File.Exists(Path.Combine(run.Out.TrimEnd('\n'), "original", "consolidated.bin")));
        Assert.DoesNotContain(Token, run.Error, StringComparison.Ordinal);

        var again = await ToolRun.OfAsync("download", Address, "--json");
        var document = again.Document("ilgpu-loader/download/1");
        Assert.Equal((0L, 3), (document.GetProperty("fetchedBytes").GetInt64(), document.GetProperty("files").GetInt32()));
        Assert.Equal(1, _hub.Storage.Requests.Count(request => request.Method == "GET" && request.BytesSent == _weights.Length));
    }

    [Fact]
    public async Task Download_Weights_IntoALocalFolder_HasTheseAlone()
    {
        var run = await ToolRun.OfAsync("download", Address, "--weights", "--local-dir", _folder["local"]);
        Assert.Equal((0, _folder["local"]), (run.ExitCode, run.Out.TrimEnd('\n')));
        Assert.Equal(["model.safetensors"], Directory.EnumerateFiles(_folder["local"]).Select(Path.GetFileName));
        Assert.False(Directory.Exists(Path.Combine(Cache, "models--org--name", "snapshots")));
    }

    [Fact]
    public async Task Download_PathOfAFolder_HasWhatIsBelowIt()
    {
        var run = await ToolRun.OfAsync("download", $"{Address}/original");
        Assert.Equal(["consolidated.bin"], Directory.EnumerateFiles(run.Out.TrimEnd('\n')).Select(Path.GetFileName));
        Assert.Equal((2, 0), ((await ToolRun.OfAsync("download", $"{Address}/original", "--include", "*")).ExitCode, run.ExitCode));
    }

    [Fact]
    public async Task Download_PathThatIsNotThere_IsMissing()
    {
        // A pattern would fit 'original'.
        foreach (var path in new[] { "nothing", "[o]riginal", "orig*" })
        {
            var run = await ToolRun.OfAsync("download", $"{Address}/{path}", "--json");
            run.ErrorDocument(nameof(RemoteFailure.EntryMissing), 3);
        }
    }

    [Theory]
    [InlineData("--include", "*.xyz")]
    [InlineData("--exclude", "*")]
    public async Task Download_OfNothing_SaysWhatThereIs_AndLeavesNoTraceInTheCache(params string[] choice)
    {
        foreach (var place in new string[][] { [], ["--local-dir", _folder["local"]] })
        {
            var run = await ToolRun.OfAsync(["download", Address, "--json", .. choice, .. place]);
            var message = run.ErrorDocument(nameof(RemoteFailure.EntryMissing), 3).GetProperty("message").GetString()!;
            Assert.Contains($"'{choice[1]}'", message, StringComparison.Ordinal);
            Assert.Contains("'config.json'", message, StringComparison.Ordinal);
        }

        Assert.Equal((false, false), (Directory.Exists(Path.Combine(Cache, "models--org--name")), Directory.Exists(_folder["local"])));
        var list = await ToolRun.OfAsync("cache", "ls");
        Assert.DoesNotContain("warning", list.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_WeightsThatThereAreNone_SaysWhatThereIs()
    {
        var other = _hub.Add("org/none");
        other.SetRef("main", Commit);
        other.Add(Commit, "config.json", "{}"u8.ToArray());
        var run = await ToolRun.OfAsync("download", "hf://org/none", "--weights", "--json");
        Assert.Contains("'*.gguf'", run.ErrorDocument(nameof(RemoteFailure.EntryMissing), 3).GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Download_HubThatCannotBeAsked_IsNoSuccess_WhateverIsThere()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("download", Address)).ExitCode);
        Directory.CreateDirectory(_folder["local"]);
        File.WriteAllText(_folder["local/config.json"], "another's");
        // A port where nobody is.
        Set("HF_ENDPOINT", "http://127.0.0.1:9");
        foreach (var options in new string[][] { [], ["--force"], ["--weights"], ["--local-dir", _folder["local"]] })
        {
            (await ToolRun.OfAsync(["download", Address, "--retries", "0", "--json", .. options])).ErrorDocument(nameof(RemoteFailure.Network), 8);
        }

        (await ToolRun.OfAsync("download", Address, "--offline", "--force", "--json")).ErrorDocument(nameof(RemoteFailure.Offline), 3);
        (await ToolRun.OfAsync("download", Address, "--offline", "--local-dir", _folder["local"], "--json")).ErrorDocument(nameof(RemoteFailure.Offline), 3);
    }

    [Fact]
    public async Task Download_Offline_SaysThatNobodyWasAsked()
    {
        var asked = await ToolRun.OfAsync("download", Address, "--include", "*.json", "--json");
        Assert.True(asked.Document("ilgpu-loader/download/1").GetProperty("asked").GetBoolean());
        var run = await ToolRun.OfAsync("download", Address, "--offline");
        Assert.Equal((0, Path.Combine(Cache, "models--org--name", "snapshots", Commit)), (run.ExitCode, run.Out.TrimEnd('\n')));
        Assert.Contains("1 file, 2 B: ", run.Error, StringComparison.Ordinal);
        Assert.Contains("nobody was asked", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("all of it was there", run.Error, StringComparison.Ordinal);
        var document = (await ToolRun.OfAsync("download", Address, "--offline", "--json")).Document("ilgpu-loader/download/1");
        Assert.Equal((false, 1), (document.GetProperty("asked").GetBoolean(), document.GetProperty("files").GetInt32()));
        (await ToolRun.OfAsync("download", Address, "--offline", "--include", "*.safetensors", "--json")).ErrorDocument(nameof(RemoteFailure.Offline), 3);
    }

    [Fact]
    public async Task Load_GoesThroughTheCache_AndStreamsWhereItIsAsked()
    {
        var streamed = await ToolRun.OfAsync("load", Address, "--device", "host", "--stream");
        Assert.Equal((0, false), (streamed.ExitCode, Directory.Exists(Path.Combine(Cache, "models--org--name", "blobs"))));

        var cached = await ToolRun.OfAsync("load", Address, "--device", "host");
        Assert.Equal((0, true), (cached.ExitCode, Directory.Exists(Path.Combine(Cache, "models--org--name", "blobs"))));
        // Weights and what is beside them, not a second copy in another format.
        Assert.False(Directory.Exists(Path.Combine(Cache, "models--org--name", "snapshots", Commit, "original")));

        Assert.Equal(0, (await ToolRun.OfAsync("load", Address, "--device", "host", "--offline")).ExitCode);
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("verify")]
    [InlineData("audit")]
    public async Task What_looks_at_headers_writes_nothing(string command)
    {
        var run = await ToolRun.OfAsync(command, Address);
        Assert.Equal((0, false), (run.ExitCode, Directory.Exists(Cache) && Directory.EnumerateFileSystemEntries(Cache).Any()));
        Assert.Contains("fetched ", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Offline_WithoutACache_SaysSo()
    {
        var run = await ToolRun.OfAsync("load", Address, "--device", "host", "--offline", "--json");
        run.ErrorDocument(nameof(RemoteFailure.Offline), 3);
        Assert.Empty(_hub.Hub.Requests);
    }

    [Fact]
    public async Task Missing_repository_revision_and_entry_and_what_is_gated_are_told_apart()
    {
        _hub.Add("org/gated").IsGated = true;
        var messages = new List<string>();
        foreach (var (address, failure) in ((string, RemoteFailure)[])
            [
                ("hf://org/nothing", RemoteFailure.RepositoryMissing), ($"{Address}@nothing", RemoteFailure.RevisionMissing), ($"{Address}/nothing.safetensors", RemoteFailure.EntryMissing),
                ("hf://org/gated", RemoteFailure.Gated),
            ])
        {
            var run = await ToolRun.OfAsync("inspect", address, "--json");
            messages.Add(run.ErrorDocument(failure.ToString(), 3).GetProperty("message").GetString()!);
            Assert.DoesNotContain(Token, run.Error + run.Out, StringComparison.Ordinal);
        }

        Assert.Equal(4, messages.Distinct().Count());
    }

    [Fact]
    public async Task Cache_IsListedVerifiedAndPruned()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("download", Address)).ExitCode);
        var list = await ToolRun.OfAsync("cache", "ls");
        Assert.Contains("hf://org/name", list.Out, StringComparison.Ordinal);
        Assert.Equal("main", (await ToolRun.OfAsync("cache", "ls", "org/name", "--json")).Document("ilgpu-loader/cache/1").GetProperty("repositories")[0].GetProperty("revisions")[0].GetProperty("refs")[0].GetString());
        Assert.Equal(3, (await ToolRun.OfAsync("cache", "ls", "org/other")).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("cache", "verify")).ExitCode);

        var blob = Directory.EnumerateFiles(Path.Combine(Cache, "models--org--name", "blobs")).First(path => new FileInfo(path).Length == _weights.Length);
        var damaged = (byte[])_weights.Clone();
        damaged[^1] ^= 1;
        await File.WriteAllBytesAsync(blob, damaged);
        var verified = await ToolRun.OfAsync("cache", "verify", "--json");
        Assert.Equal(6, verified.ExitCode);
        Assert.Equal(blob, Assert.Single(verified.Document("ilgpu-loader/cache-verify/1").GetProperty("problems").EnumerateArray().ToArray()).GetProperty("path").GetString());

        File.Delete(Path.Combine(Cache, "models--org--name", "refs", "main"));
        var dry = await ToolRun.OfAsync("cache", "prune", "--dry-run");
        Assert.True(File.Exists(blob), dry.Out);
        Assert.Contains("would remove", dry.Out, StringComparison.Ordinal);
        Assert.Equal(0, (await ToolRun.OfAsync("cache", "prune")).ExitCode);
        Assert.False(File.Exists(blob));
    }

    [Theory]
    [InlineData("download", "https://host/model.safetensors")]
    [InlineData("download", "hf://a/b/../c")]
    [InlineData("download", "hf://org/name", "--weights", "--include", "*")]
    [InlineData("download", "hf://org/name/original", "--weights")]
    [InlineData("cache", "empty")]
    [InlineData("cache", "ls", "--dry-run")]
    [InlineData("cache", "prune", "org/name")]
    public async Task What_makes_no_sense_is_refused_before_anybody_is_asked(params string[] args)
    {
        var run = await ToolRun.OfAsync(args);
        Assert.True(run.ExitCode is 2 or 3, run.Error);
        Assert.Empty(_hub.Hub.Requests);
    }

    private static void Set(string name, string? value) => Environment.SetEnvironmentVariable(name, value);
}
