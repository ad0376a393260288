using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What of a repository comes into the cache when something of it is opened: that, and nothing else.</summary>
public sealed class HubOpeningTests : IAsyncLifetime, IDisposable
{
    private const string Address = "hf://acme/model";

    private readonly TemporaryFolder _folder = new();
    private HubDouble _hub = null!;
    private HubDoubleRepository _repository = null!;
    private RemoteCheckpoints _remote = null!;

    private string Snapshot => _folder[$"cache/models--acme--model/snapshots/{HubSample.First}"];

    public async Task InitializeAsync()
    {
        _hub = await HubDouble.StartAsync();
        _repository = _hub.Add("acme/model");
        _repository.SetRef("main", HubSample.First);
        _remote = RemoteCheckpoints.Create(HubSample.Options(_hub, _folder["cache"]));
    }

    public async Task DisposeAsync()
    {
        _remote.Dispose();
        await _hub.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(null, null, "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json", "a b")]
    [InlineData("fp16", null, "model.fp16-00001-of-00002.safetensors model.fp16-00002-of-00002.safetensors model.safetensors.index.fp16.json", "c d")]
    [InlineData(null, "other.safetensors.index.json", "model-00002-of-00002.safetensors other.safetensors.index.json", "b")]
    public async Task Open_OfSeveralIndexes_BringsTheShardsOfTheOneThatIsMeant(string? variant, string? index, string files, string tensors)
    {
        AddShards("model.safetensors.index.json", ("a", "model-00001-of-00002.safetensors"), ("b", "model-00002-of-00002.safetensors"));
        AddShards("model.safetensors.index.fp16.json", ("c", "model.fp16-00001-of-00002.safetensors"), ("d", "model.fp16-00002-of-00002.safetensors"));
        if (index is not null)
        {
            AddShards(index, ("b", "model-00002-of-00002.safetensors"));
        }

        _repository.Add(HubSample.First, "consolidated.safetensors", Weights("a", "b"), isLarge: true);
        await using (var checkpoint = await OpenAsync(variant, index))
        {
            Assert.Equal(tensors, string.Join(' ', checkpoint.Tensors.Select(tensor => tensor.Name)));
        }

        Assert.Equal(files, string.Join(' ', Files()));
    }

    [Theory]
    [InlineData(null, "model.safetensors")]
    [InlineData("fp16", "model.fp16.safetensors")]
    public async Task Open_OfVariantsWithoutAnIndex_BringsOneOfThem(string? variant, string file)
    {
        _repository.Add(HubSample.First, "model.safetensors", Weights("a"), isLarge: true);
        _repository.Add(HubSample.First, "model.fp16.safetensors", Weights("a", "b"), isLarge: true);
        _repository.Add(HubSample.First, "pytorch_model.bin", [1], isLarge: true);
        await using var checkpoint = await OpenAsync(variant);
        Assert.Equal(variant is null ? 1 : 2, checkpoint.Tensors.Length);
        Assert.Equal([file], Files());
        // Once, and the byte by which the storage is asked.
        var length = File.ReadAllBytes(Path.Combine(Snapshot, file)).Length;
        Assert.InRange(_hub.Storage.BytesSent, length, length + 1);
    }

    [Fact]
    public async Task Open_PartOfAGgufModel_BringsItsOthersWithIt()
    {
        for (ushort part = 0; part < 2; part++)
        {
            var bytes = new GgufBuilder().Add("split.no", part).Add("split.count", (ushort)2).Tensor($"t{part}", 24, [4], new byte[4]).ToBytes();
            _repository.Add(HubSample.First, $"q/m-Q8_0-0000{part + 1}-of-00002.gguf", bytes, isLarge: true);
        }

        _repository.Add(HubSample.First, "q/m-Q4_0.gguf", [1], isLarge: true);
        var downloads = 0;
        using var remote = RemoteCheckpoints.Create(HubSample.Options(_hub, _folder["cache"]) with
        {
            AroundDownloads = download =>
            {
                downloads++;
                return download();
            },
        });
        await using (var checkpoint = await Checkpoint.OpenAsync($"{Address}/q/m-Q8_0-00002-of-00002.gguf", new CheckpointOptions { Remote = remote }))
        {
            Assert.Equal(["t0", "t1"], checkpoint.Tensors.Select(tensor => tensor.Name));
        }

        Assert.Equal(["q/m-Q8_0-00001-of-00002.gguf", "q/m-Q8_0-00002-of-00002.gguf"], Files());
        Assert.Equal(1, downloads);
    }

    [Fact]
    public async Task OpenConfig_OfAnAddress_BringsNoWeights()
    {
        _repository.Add(HubSample.First, "config.json", "{\"model_type\": \"llama\"}"u8.ToArray());
        _repository.Add(HubSample.First, "model.safetensors", Weights("a"), isLarge: true);
        Assert.Equal("llama", (await ModelConfig.OpenAsync(Address, new CheckpointOptions { Remote = _remote })).ModelType);
        Assert.Equal(["config.json"], Files());
    }

    [Fact]
    public async Task Open_WithoutAnyWeights_NamesTheAddress()
    {
        _repository.Add(HubSample.First, "README.md", "text"u8.ToArray());
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => OpenAsync());
        Assert.Equal((CheckpointErrorCode.NoWeights, Address), (exception.Code, exception.File));
        Assert.False(Directory.Exists(Snapshot));
    }

    [Fact]
    public async Task LoadState_ThroughTheCache_IsVerified_AndBringsTheRanksOwnParts()
    {
        await AddStateAsync();
        var loader = new ShardedStateLoader(new ShardedStateOptions { Remote = _remote });
        await using (var state = await loader.OpenAsync(Address, 1))
        {
            Assert.Equal((2, true), (state.WorldSize, state.Manifest is not null));
            Assert.Empty(state.Warnings);
            using var tensors = await state.LoadTensorsAsync();
            Assert.Equal(["a", "b"], tensors.Keys.Order(StringComparer.Ordinal));
        }

        Assert.Equal(["model-rank-1-part-0.safetensors", "model-rank-1-part-1.safetensors", "rank-0.json", "rank-1.json"], Files());
    }

    [Fact]
    public async Task LoadState_OfAnotherWorldSize_IsRefusedBeforeAPartIsFetched()
    {
        await AddStateAsync();
        using var model = StateSample.Fresh(State(0));
        var loader = new ShardedStateLoader(new ShardedStateOptions { Remote = _remote });
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => loader.LoadAsync(model, Address, new TensorParallel(4, 0)));
        Assert.Equal(CheckpointErrorCode.WorldSizeMismatch, exception.Code);
        Assert.Equal(["rank-0.json", "rank-1.json"], Files());
    }

    [Fact]
    public async Task LoadState_WithAnotherBit_IsAMismatch()
    {
        await AddStateAsync(damaged: "model-rank-0-part-1.safetensors");
        var loader = new ShardedStateLoader(new ShardedStateOptions { Remote = _remote });
        await using var state = await loader.OpenAsync(Address, 0);
        var exception = await Assert.ThrowsAsync<ManifestMismatchException>(() => state.LoadTensorsAsync());
        Assert.Contains("'b'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CountRanks_WithoutManifests_CountsWhatTheHubHas_NotWhatIsHere()
    {
        await AddStateAsync(withManifests: false);
        var loader = new ShardedStateLoader(new ShardedStateOptions { Remote = _remote });
        await using (var state = await loader.OpenAsync(Address, 0))
        {
            Assert.Contains("not verified", Assert.Single(state.Warnings), StringComparison.Ordinal);
        }

        Assert.Equal(2, await loader.CountRanksAsync(Address));
        Assert.Equal(["model-rank-0-part-0.safetensors", "model-rank-0-part-1.safetensors"], Files());
    }

    [Theory]
    [InlineData(RemoteAccess.Cache)]
    [InlineData(RemoteAccess.Stream)]
    public async Task Convert_FromAnAddress_CarriesWhatALocalFolderWould(RemoteAccess access)
    {
        foreach (var (name, text) in new[] { ("config.json", "{\"torch_dtype\": \"float32\"}"), ("tokenizer.json", "{}"), ("tokenizer.model", "bytes"), ("vocab.txt", "v"), ("README.md", "left"), ("tokenizer.py", "left") })
        {
            _repository.Add(HubSample.First, $"sub/{name}", Encoding.ASCII.GetBytes(text));
            _folder.Write($"local/{name}", text);
        }

        _repository.Add(HubSample.First, "sub/model.safetensors", Weights("a"), isLarge: true);
        _folder.Write("local/model.safetensors", Weights("a"));
        using var remote = RemoteCheckpoints.Create(HubSample.Options(_hub, _folder["cache"]) with { Access = access });
        foreach (var (path, output) in new[] { (_folder["local"], _folder["expected"]), ($"{Address}/sub", _folder["actual"]) })
        {
            await using var checkpoint = await Checkpoint.OpenAsync(path, new CheckpointOptions { Remote = remote });
            var result = await CheckpointConverter.ConvertAsync(checkpoint, output, new ConversionOptions { DType = DType.BF16 });
            Assert.Equal<IEnumerable<string>>(["config.json", "tokenizer.json", "tokenizer.model", "vocab.txt"], result.CarriedFiles);
        }

        Assert.Equal(HubSample.Entries(_folder["expected"]), HubSample.Entries(_folder["actual"]));
        Assert.Equal(access == RemoteAccess.Cache, Directory.Exists(Snapshot));
    }

    [Fact]
    public async Task Convert_WithACarriedFileOfNoSuchSize_IsRefusedBeforeItIsFetched()
    {
        var vocabulary = new RemoteContent("{}"u8.ToArray(), CarriedFiles.LargestRemoteBytes - 1);
        await using var server = await RemoteServer.StartAsync();
        server.Add("/m/vocab.json", vocabulary);
        server.Add("/m/model.safetensors", Weights("a"));
        await using var checkpoint = await Checkpoint.OpenAsync(server.AddressOf("/m/"), new CheckpointOptions { Remote = _remote });
        var exception = await Assert.ThrowsAsync<IOException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder["out"]));
        Assert.Contains("/m/vocab.json: it goes with the weights and cannot be copied: it has 100000001 bytes", exception.Message, StringComparison.Ordinal);
        Assert.InRange(server.BytesSent, 1, 1 << 20);
    }

    [Fact]
    public async Task Convert_FromAServerThatListsNothing_CarriesTheUsualNames()
    {
        await using var server = await RemoteServer.StartAsync();
        server.Add("/m/weights.safetensors", Weights("a"));
        foreach (var name in (string[])["config.json", "tokenizer.model", "merges.txt", "tokenizer_of_ours.json"])
        {
            server.Add($"/m/{name}", "{}"u8.ToArray());
        }

        await using var checkpoint = await Checkpoint.OpenAsync(server.AddressOf("/m/weights.safetensors"), new CheckpointOptions { Remote = _remote });
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"]);
        Assert.Equal<IEnumerable<string>>(["config.json", "merges.txt", "tokenizer.model"], result.CarriedFiles);
        Assert.Equal("{}", File.ReadAllText(_folder["out/merges.txt"]));
    }

    [Fact]
    public async Task Save_WithACarriedPlace_HasItsFiles()
    {
        _repository.Add(HubSample.First, "config.json", "{}"u8.ToArray());
        _repository.Add(HubSample.First, "tokenizer.json", "[]"u8.ToArray());
        _repository.Add(HubSample.First, "model.safetensors", Weights("a"), isLarge: true);
        var place = (await _remote.LocateAsync(Address)).Place;
        using var model = State(0);
        var result = await StateSample.Loader.SaveModelAsync(model, _folder["out"], new ShardedStateSaveOptions { CarriedPlace = place });
        Assert.Equal<IEnumerable<string>>(["config.json", "tokenizer.json"], result.CarriedFiles);
        Assert.Equal("[]", File.ReadAllText(_folder["out/tokenizer.json"]));
        Assert.Equal(["config.json", "tokenizer.json"], Files());
    }

    private static byte[] Weights(params string[] names)
    {
        var builder = new SafetensorsBuilder();
        foreach (var name in names)
        {
            _ = builder.Add(name, "F32", [1], [0, 0, 128, 63]);
        }

        return builder.ToBytes();
    }

    private static Module State(int rank) =>
        StateSample.Model([("a", StateSample.Random(rank, DType.U8, 48)), ("b", StateSample.Random(rank + 2, DType.U8, 48))]);

    private void AddShards(string index, params (string Tensor, string File)[] shards)
    {
        foreach (var (tensor, file) in shards)
        {
            _repository.Add(HubSample.First, file, Weights(tensor), isLarge: true);
        }

        var map = string.Join(',', shards.Select(shard => $"\"{shard.Tensor}\": \"{shard.File}\""));
        _repository.Add(HubSample.First, index, Encoding.ASCII.GetBytes($"{{\"weight_map\": {{{map}}}}}"));
    }

    private async Task AddStateAsync(bool withManifests = true, string? damaged = null)
    {
        for (var rank = 0; rank < 2; rank++)
        {
            using var model = State(rank);
            _ = await StateSample.Loader.SaveModelAsync(
                model, _folder["state"], new ShardedStateSaveOptions { Parallel = new TensorParallel(2, rank), SaveId = "save", MaximumPartBytes = 48 });
        }

        foreach (var path in Directory.EnumerateFiles(_folder["state"]))
        {
            var (name, bytes) = (Path.GetFileName(path), await File.ReadAllBytesAsync(path));
            if (name == damaged)
            {
                bytes[^1] ^= 1;
            }

            if (withManifests || !name.EndsWith(".json", StringComparison.Ordinal))
            {
                _repository.Add(HubSample.First, name, bytes, isLarge: name.EndsWith(".safetensors", StringComparison.Ordinal));
            }
        }
    }

    private Task<Checkpoint> OpenAsync(string? variant = null, string? index = null) =>
        Checkpoint.OpenAsync(Address, new CheckpointOptions { Remote = _remote, Variant = variant, Index = index });

    private string[] Files() =>
        [.. Directory.EnumerateFiles(Snapshot, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Snapshot, path).Replace('\\', '/')).Order(StringComparer.Ordinal)];
}
