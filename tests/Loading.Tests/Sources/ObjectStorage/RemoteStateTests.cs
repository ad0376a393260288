using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>States that ranks have saved, loaded from a real S3 server.</summary>
[Trait("Area", "Remote")]
public sealed class RemoteStateTests : IClassFixture<ObjectStorageServer>, IDisposable
{
    private readonly ObjectStorageServer _server;
    private readonly RemoteCheckpoints _remote;
    private readonly ShardedStateLoader _loader;
    private readonly TemporaryFolder _folder = new();

    public RemoteStateTests(ObjectStorageServer server)
    {
        _server = server;
        _remote = RemoteCheckpoints.Create(new RemoteOptions { S3 = server.Settings });
        _loader = new ShardedStateLoader(new ShardedStateOptions { Remote = _remote });
    }

    public void Dispose()
    {
        _remote.Dispose();
        _folder.Dispose();
    }

    [ObjectStorageFact]
    public async Task Load_OfARankAtAnAddress_IsVerifiedByItsManifest()
    {
        await SaveAsync("verified", world: 2);
        using var model = Share(2, 1);
        var result = await _loader.LoadAsync(model, "s3://verified/states/one", new TensorParallel(2, 1));
        Assert.Equal((true, "save"), (result.IsVerified, result.SaveId));
        Assert.Equal<IEnumerable<string>>(["s3://verified/states/one/model-rank-1-part-0.safetensors", "s3://verified/states/one/model-rank-1-part-1.safetensors"], result.Files);
        AssertShare(model, 2, 1);
    }

    [ObjectStorageFact]
    public async Task Load_WithoutManifests_FindsTheRanksPartsByTheirNames()
    {
        await SaveAsync("bare", world: 2, withManifests: false);
        Assert.Equal(2, await _loader.CountRanksAsync("s3://bare/states/one"));
        using var model = Share(2, 0);
        var result = await _loader.LoadAsync(model, "s3://bare/states/one/", new TensorParallel(2, 0));
        Assert.False(result.IsVerified);
        AssertShare(model, 2, 0);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => _loader.OpenAsync("s3://bare/states/one", 7));
        Assert.Equal((CheckpointErrorCode.NoWeights, "s3://bare/states/one"), (exception.Code, exception.File));
        Assert.Contains("model-rank-7-part-*.safetensors", exception.Message, StringComparison.Ordinal);
    }

    [ObjectStorageFact]
    public async Task Reshard_FromAnAddress_PutsTheRanksTogether()
    {
        await SaveAsync("resharded", world: 2);
        using var model = Share(1, 0);
        var result = await _loader.ReshardAsync(model, "s3://resharded/states/one", parallel => Share(parallel.WorldSize, parallel.Rank));
        Assert.True(result.IsVerified);
        AssertShare(model, 1, 0);
    }

    [ObjectStorageFact]
    public async Task Open_OfAStateThatIsNotWhole_SaysWhatIsWrong()
    {
        await SaveAsync("broken", world: 1, leaveOut: "model-rank-0-part-1.safetensors");
        var missing = await Assert.ThrowsAsync<InvalidCheckpointException>(() => _loader.OpenAsync("s3://broken/states/one", 0));
        Assert.Equal((CheckpointErrorCode.ShardMissing, "s3://broken/states/one/model-rank-0-part-1.safetensors"), (missing.Code, missing.File));
        _server.Put("broken", "states/one/model-rank-0-part-1.safetensors", SafetensorsBuilder.Tiny());
        var other = await Assert.ThrowsAsync<InvalidCheckpointException>(() => _loader.OpenAsync("s3://broken/states/one", 0));
        Assert.Equal(CheckpointErrorCode.SizeMismatch, other.Code);
        // As long as the right one, and with another byte.
        var bytes = File.ReadAllBytes(_folder["one/model-rank-0-part-1.safetensors"]);
        bytes[^1] ^= 1;
        _server.Put("broken", "states/one/model-rank-0-part-1.safetensors", bytes);
        using var model = Share(1, 0);
        var mismatch = await Assert.ThrowsAsync<ManifestMismatchException>(() => _loader.LoadAsync(model, "s3://broken/states/one"));
        Assert.Contains("'b'", mismatch.Message, StringComparison.Ordinal);
    }

    [ObjectStorageFact]
    public async Task Convert_FromAPrefix_CarriesConfigurationAndTokenizer()
    {
        _server.MakeBucket("carried");
        _server.Put("carried", "m/model.safetensors", SafetensorsBuilder.Tiny());
        foreach (var name in (string[])["config.json", "tokenizer.json", "README.md", "sub/vocab.txt"])
        {
            _server.Put("carried", $"m/{name}", "{}"u8.ToArray());
        }

        await using var checkpoint = await Checkpoint.OpenAsync("s3://carried/m", new CheckpointOptions { Remote = _remote });
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"]);
        Assert.Equal<IEnumerable<string>>(["config.json", "tokenizer.json"], result.CarriedFiles);
        Assert.Equal("{}", File.ReadAllText(_folder["out/tokenizer.json"]));
    }

    [ObjectStorageFact]
    public async Task Open_OfAFile_AsksForItsFolder()
    {
        await SaveAsync("file", world: 1);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => _loader.OpenAsync("s3://file/states/one/model-rank-0-part-0.safetensors", 0));
        Assert.Contains("this is a file", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_OfAnAddressThatNobodyFinds_IsRefused()
    {
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => StateSample.Loader.OpenAsync("s3://bucket/state", 0));
        Assert.Contains("ShardedStateOptions.Remote", exception.Message, StringComparison.Ordinal);
    }

    // Two tensors of 48 bytes, split evenly, in a part each.
    private static Module Share(int world, int rank)
    {
        var model = new Module();
        foreach (var name in (string[])["a", "b"])
        {
            _ = model.Register(name, new Parameter(DType.U8, new Shape(48 / world), WeightLoaders.Sharded(0, new TensorParallel(world, rank))));
        }

        return model;
    }

    private static byte[] Part(string name, int world, int rank) => [.. Enumerable.Range(name[0], 48).Select(number => (byte)number).Skip(rank * (48 / world)).Take(48 / world)];

    private static void AssertShare(Module model, int world, int rank) =>
        Assert.All(model.Parameters, entry => Assert.Equal(Part(entry.Key, world, rank), StateSample.Bytes(entry.Value.Data)));

    private async Task SaveAsync(string bucket, int world, bool withManifests = true, string? leaveOut = null)
    {
        for (var rank = 0; rank < world; rank++)
        {
            using var model = Share(world, rank);
            foreach (var (name, parameter) in model.Parameters)
            {
                parameter.SetData(Tensor.FromValues<byte>(DType.U8, new Shape(48 / world), Part(name, world, rank), HostDevice.Shared));
            }

            _ = await StateSample.Loader.SaveModelAsync(
                model, _folder["one"], new ShardedStateSaveOptions { Parallel = new TensorParallel(world, rank), SaveId = "save", MaximumPartBytes = 48 / world });
        }

        _server.MakeBucket(bucket);
        foreach (var file in Directory.EnumerateFiles(_folder["one"]).Where(file => Path.GetFileName(file) != leaveOut && (withManifests || !file.EndsWith(".json", StringComparison.Ordinal))))
        {
            _server.Put(bucket, $"states/one/{Path.GetFileName(file)}", File.ReadAllBytes(file));
        }
    }
}
