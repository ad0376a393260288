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

    [Fact]
    public async Task A_sharded_state_through_the_cache_is_verified_and_split_anew_as_a_local_one()
    {
        await LlamaSynthesizer.WriteAsync(_folder["m"], new LlamaOptions { Layers = 1, Hidden = 32, Intermediate = 48, Heads = 4, KeyValueHeads = 2, Vocabulary = 11 });
        AddFolder("org/model", _folder["m"]);
        // From an address, with the configuration.
        Assert.Equal(0, (await ToolRun.OfAsync("shard", "hf://org/model", _folder["state"], "--tp", "2", "--rank", "1")).ExitCode);
        var saved = await ToolRun.OfAsync("shard", "hf://org/model", _folder["state"], "--tp", "2", "--rank", "0", "--json");
        Assert.Equal(["config.json"], saved.Document("ilgpu-loader/shard/1").GetProperty("carriedFiles").EnumerateArray().Select(file => file.GetString()));
        AddFolder("org/state", _folder["state"]);

        var loaded = await ToolRun.OfAsync("load", "hf://org/state", "--sharded", "--tp", "2", "--rank", "0", "--device", "host", "--json");
        Assert.True(loaded.Document("ilgpu-loader/load-sharded/1").GetProperty("verified").GetBoolean());
        Assert.False(File.Exists(InCache("org--state", "model-rank-1-part-0.safetensors")));
        var other = await ToolRun.OfAsync("load", "hf://org/state", "--sharded", "--tp", "4", "--rank", "0", "--device", "host");
        Assert.Equal((5, false), (other.ExitCode, other.Out.Contains("tensors", StringComparison.Ordinal)));
        var resharded = await ToolRun.OfAsync("load", "hf://org/state", "--sharded", "--tp", "1", "--rank", "0", "--model", "--reshard", "--device", "host", "--json");
        Assert.True(resharded.Document("ilgpu-loader/load-sharded/1").GetProperty("verified").GetBoolean());

        var damaged = await File.ReadAllBytesAsync(_folder["state/model-rank-1-part-0.safetensors"]);
        damaged[^1] ^= 1;
        await File.WriteAllBytesAsync(_folder["state/model-rank-1-part-0.safetensors"], damaged);
        AddFolder("org/damaged", _folder["state"]);
        Assert.Equal(6, (await ToolRun.OfAsync("load", "hf://org/damaged", "--sharded", "--tp", "2", "--rank", "1", "--device", "host")).ExitCode);
    }

    [Theory]
    [InlineData()]
    [InlineData("--stream")]
    public async Task Convert_FromAnAddress_HasTheFilesThatALocalFolderHas(params string[] more)
    {
        foreach (var name in (string[])["tokenizer.json", "tokenizer_config.json", "generation_config.json", "vocab.txt"])
        {
            _repository.Add(Commit, name, "{}"u8.ToArray());
        }

        var run = await ToolRun.OfAsync(["convert", Address, _folder["out"], .. more]);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("in 1 file and 5 other files", run.Out, StringComparison.Ordinal);
        Assert.Equal("{}", await File.ReadAllTextAsync(_folder["out/vocab.txt"]));
    }

    [Theory]
    [InlineData("convert", Address, "hf://org/out")]
    [InlineData("convert", Address, "s3://bucket/out.safetensors")]
    [InlineData("shard", Address, "hf://org/out")]
    [InlineData("synth", "llama", "hf://org/out")]
    [InlineData("hash", Address, "--write", "hf://org/manifest.json")]
    [InlineData("load", Address, "--verify", "hf://org/manifest.json")]
    [InlineData("load", Address, "--model", "--map", "hf://org/map.json")]
    [InlineData("download", Address, "--local-dir", "hf://org/out")]
    public async Task An_address_where_something_local_belongs_is_refused_before_anybody_is_asked(params string[] args)
    {
        var run = await ToolRun.OfAsync(args);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains($"takes a local path, and '{args[^1]}' is an address", run.Error, StringComparison.Ordinal);
        Assert.Empty(_hub.Hub.Requests);
        Assert.False(Directory.Exists("hf:") || Directory.Exists("s3:"));
    }

    [Fact]
    public async Task Plan_counts_as_download_what_the_cache_has_not()
    {
        var map = string.Join(',', new[] { "a", "b" }.Select(tensor => $"\"{tensor}\":\"{tensor}.safetensors\""));
        var shards = new[] { "a", "b" }.ToDictionary(tensor => tensor, tensor => new SafetensorsBuilder().Add(tensor, "F32", [4], new byte[16]).ToBytes());
        var repository = _hub.Add("org/sharded");
        repository.SetRef("main", Commit);
        repository.Add(Commit, "model.safetensors.index.json", System.Text.Encoding.UTF8.GetBytes($"{{\"metadata\":{{}},\"weight_map\":{{{map}}}}}"));
        foreach (var (tensor, bytes) in shards)
        {
            repository.Add(Commit, $"{tensor}.safetensors", bytes, isLarge: true);
        }

        async Task<(int Files, long Bytes)?> PlannedAsync()
        {
            var run = await ToolRun.OfAsync("plan", "hf://org/sharded", "--device", "meta", "--json");
            return run.Document("ilgpu-loader/plan/1").TryGetProperty("download", out var download) && download.ValueKind == System.Text.Json.JsonValueKind.Object
                ? (download.GetProperty("files").GetInt32(), download.GetProperty("bytes").GetInt64())
                : null;
        }

        Assert.Equal((2, shards.Values.Sum(bytes => (long)bytes.Length)), await PlannedAsync());
        Assert.Equal(0, (await ToolRun.OfAsync("download", "hf://org/sharded", "--include", "a.*")).ExitCode);
        Assert.Equal((1, (long)shards["b"].Length), await PlannedAsync());
        Assert.Equal(0, (await ToolRun.OfAsync("download", "hf://org/sharded")).ExitCode);
        Assert.Null(await PlannedAsync());
    }

    [Theory]
    [InlineData("hf://org/tiny@")]
    [InlineData("hf://a/b/../c")]
    [InlineData("hf://a/b@..")]
    [InlineData("ms://a/b/../c")]
    public async Task An_address_with_a_name_that_cannot_be_is_a_slip_and_says_nothing_of_writing(string address)
    {
        foreach (var command in new[] { "load", "inspect", "download" })
        {
            var run = await ToolRun.OfAsync(command, address);
            Assert.Equal((2, ""), (run.ExitCode, run.Out));
            Assert.DoesNotContain("written", run.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_numpy_cache_is_made_beside_local_files_alone()
    {
        var run = await ToolRun.OfAsync("load", Address, "--np-cache", "--device", "host");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("local folder", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hf://org/nothing", nameof(RemoteFailure.RepositoryMissing), 3)]
    [InlineData("hf://org/name/none.safetensors", nameof(RemoteFailure.EntryMissing), 3)]
    [InlineData("http://127.0.0.1:1/model.safetensors", nameof(RemoteFailure.Network), 8)]
    public async Task Verify_tells_what_no_server_gives_from_what_is_invalid(string address, string code, int exitCode)
    {
        var run = await ToolRun.OfAsync("verify", address, "--retries", "0");
        Assert.Equal(exitCode, run.ExitCode);
        Assert.StartsWith($"unreachable {address}: {code}: ", run.Out, StringComparison.Ordinal);

        run = await ToolRun.OfAsync("verify", address, "--retries", "0", "--json");
        var file = Assert.Single(System.Text.Json.JsonDocument.Parse(run.Out).RootElement.GetProperty("files").EnumerateArray());
        Assert.Equal((false, code), (file.GetProperty("ok").GetBoolean(), file.GetProperty("code").GetString()));
    }

    [Theory]
    [InlineData("HF_ENDPOINT", "foo")]
    [InlineData("HF_HUB_DOWNLOAD_TIMEOUT", "soon")]
    public async Task Serve_settings_of_servers_that_cannot_be_are_named_with_the_model(string variable, string value)
    {
        var before = Environment.GetEnvironmentVariable(variable);
        Set(variable, value);
        try
        {
            var run = await ToolRun.OfAsync("serve", "hf://org/big", "--urls", "http://127.0.0.1:0", "--device", "host");
            Assert.Equal(2, run.ExitCode);
            Assert.Contains("Models:big:Path: hf://org/big cannot be reached: ", run.Error, StringComparison.Ordinal);
            Assert.Contains($"{variable} is '{value}'", run.Error, StringComparison.Ordinal);
        }
        finally
        {
            Set(variable, before);
        }
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

    private string InCache(string folder, string name) => Path.Combine(Cache, $"models--{folder}", "snapshots", Commit, name);

    private void AddFolder(string name, string folder)
    {
        var repository = _hub.Add(name);
        repository.SetRef("main", Commit);
        foreach (var path in Directory.EnumerateFiles(folder))
        {
            repository.Add(Commit, Path.GetFileName(path), File.ReadAllBytes(path), isLarge: path.EndsWith(".safetensors", StringComparison.Ordinal));
        }
    }

    private static void Set(string name, string? value) => Environment.SetEnvironmentVariable(name, value);
}
