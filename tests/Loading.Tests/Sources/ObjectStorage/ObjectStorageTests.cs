using Amazon.Runtime;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Checkpoints of a real S3 server, opened and loaded by their addresses.</summary>
[Trait("Area", "Remote")]
public sealed class ObjectStorageTests(ObjectStorageServer server) : IClassFixture<ObjectStorageServer>
{
    private static readonly string TinyLlama = Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");

    [ObjectStorageFact]
    public async Task Open_OfAPrefix_LoadsAllShardsOfItsIndex()
    {
        server.MakeBucket("prefix");
        server.PutFolder("prefix", "models/tiny", TinyLlama);
        // Not directly there, and of another model.
        server.Put("prefix", "models/tiny/original/model.safetensors", [1]);
        server.Put("prefix", "models/tiny-2/model.safetensors", [1]);
        using var remote = Remote(new RemoteOptions { RangeBytes = 64 << 10, S3 = server.Settings });
        await using var checkpoint = await OpenAsync("s3://prefix/models/tiny", remote);
        Assert.Equal(
            ["s3://prefix/models/tiny/model-00001-of-00002.safetensors", "s3://prefix/models/tiny/model-00002-of-00002.safetensors"], checkpoint.Files.Select(file => file.Path));
        Assert.NotNull(checkpoint.Config);
        await AssertTinyLlamaAsync(checkpoint, Directory.GetFiles(TinyLlama, "*.safetensors"));
        Assert.True(remote.Traffic.Bytes >= checkpoint.TensorBytes);
    }

    [ObjectStorageFact]
    public async Task Open_OfAKey_LoadsThatFile()
    {
        server.MakeBucket("key");
        server.PutFolder("key", "tiny", TinyLlama);
        using var remote = Remote();
        await using var checkpoint = await OpenAsync("s3://key/tiny/model-00002-of-00002.safetensors", remote);
        await AssertTinyLlamaAsync(checkpoint, [Path.Combine(TinyLlama, "model-00002-of-00002.safetensors")]);
    }

    [ObjectStorageFact]
    public async Task Open_ReadsTheHeaderAlone()
    {
        server.MakeBucket("header");
        var sample = Sample.Make(1, ("a", DType.U8, [8 << 20]));
        server.Put("header", "model.safetensors", sample.File);
        using var remote = Remote();
        await using var checkpoint = await OpenAsync("s3://header", remote);
        Assert.Equal(8 << 20, checkpoint["a"].ByteLength);
        Assert.InRange(remote.Traffic.Bytes, 1, 2 << 20);
    }

    [ObjectStorageFact]
    public async Task Open_OfAPublicBucket_NeedsNoCredentials()
    {
        server.MakeBucket("public");
        var sample = Sample.MakeRandom(3);
        server.Put("public", "model.safetensors", sample.File);
        using var remote = Remote(new RemoteOptions { S3 = new S3Settings { Endpoint = server.Endpoint, IsAnonymous = true } });
        await using var checkpoint = await OpenAsync("s3://public", remote);
        Assert.Equal(sample.Tensors.Keys.Order(StringComparer.Ordinal), checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
    }

    [ObjectStorageFact]
    public async Task Open_WithCredentialsOfNobody_IsUnauthorized()
    {
        server.MakeBucket("private");
        server.Put("private", "model.safetensors", SafetensorsBuilder.Tiny());
        using var remote = Remote(new RemoteOptions { S3 = server.Settings with { Credentials = new BasicAWSCredentials("AKIANOBODY", "verysecret") } });
        var exception = await Assert.ThrowsAsync<RemoteException>(() => OpenAsync("s3://private/model.safetensors", remote));
        Assert.Equal(RemoteFailure.Unauthorized, exception.Failure);
        Assert.DoesNotContain("verysecret", exception.ToString(), StringComparison.Ordinal);
    }

    [ObjectStorageFact]
    public async Task Open_OfWhatIsNotThere_SaysWhatIsMissing()
    {
        server.MakeBucket("here");
        using var remote = Remote();
        var bucket = await Assert.ThrowsAsync<RemoteException>(() => OpenAsync("s3://nowhere/models/tiny", remote));
        Assert.Equal(RemoteFailure.RepositoryMissing, bucket.Failure);
        Assert.Contains("'nowhere'", bucket.Message, StringComparison.Ordinal);
        Assert.Equal(RemoteFailure.EntryMissing, (await Assert.ThrowsAsync<RemoteException>(() => OpenAsync("s3://here/models/tiny", remote))).Failure);
    }

    [ObjectStorageFact]
    public async Task Load_OfAnObjectThatWasReplaced_IsRefused()
    {
        server.MakeBucket("replaced");
        var length = 4 << 20;
        server.Put("replaced", "model.safetensors", Sample.Make(1, ("a", DType.U8, [length])).File);
        using var remote = Remote();
        await using var checkpoint = await OpenAsync("s3://replaced", remote);
        server.Put("replaced", "model.safetensors", Sample.Make(2, ("a", DType.U8, [length])).File);
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device })));
        Assert.Equal((CheckpointErrorCode.FileChanged, "s3://replaced/model.safetensors"), (exception.Code, exception.File));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [ObjectStorageFact]
    public async Task Load_ThatIsCancelled_LeavesNothing()
    {
        server.MakeBucket("cancelled");
        server.Put("cancelled", "model.safetensors", Sample.Make(1, Enumerable.Range(0, 8).Select(i => ($"t{i}", DType.U8, (long[])[1 << 20]))).File);
        using var remote = Remote(new RemoteOptions { RangeBytes = 64 << 10, S3 = server.Settings });
        await using var checkpoint = await OpenAsync("s3://cancelled", remote);
        using var cancellation = new CancellationTokenSource();
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, StagingBytes = 4 << 20 });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => loader.LoadAsync(plan, new CancellingProgress(cancellation), cancellation.Token));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [ObjectStorageFact]
    public async Task Glob_OverTheServersKeys_FindsAtAnyDepth()
    {
        server.MakeBucket("globbed");
        foreach (var key in (string[])["m/model-rank-0-part-0.safetensors", "m/model-rank-0-part-1.safetensors", "m/model-rank-10-part-0.safetensors", "m/deep/model-rank-0-part-0.safetensors", "m/config.json", "m2/model-rank-0-part-0.safetensors"])
        {
            server.Put("globbed", key, [1]);
        }

        using var glob = new S3Glob(new RemoteOptions { S3 = server.Settings });
        Assert.Equal(
            ["s3://globbed/m/deep/model-rank-0-part-0.safetensors", "s3://globbed/m/model-rank-0-part-0.safetensors", "s3://globbed/m/model-rank-0-part-1.safetensors"],
            await glob.GlobAsync("s3://globbed/m", ["*model-rank-0-part-*.safetensors"]));
        Assert.Equal(["s3://globbed/m/config.json"], await glob.GlobAsync("s3://globbed/m/", null, ["*.safetensors"]));
        Assert.Equal(6, (await glob.GlobAsync("s3://globbed")).Count);
        Assert.Equal(RemoteFailure.RepositoryMissing, (await Assert.ThrowsAsync<RemoteException>(() => glob.GlobAsync("s3://nowhere/m"))).Failure);
    }

    private static async Task AssertTinyLlamaAsync(Checkpoint checkpoint, string[] files)
    {
        var expected = files.Select(file => Sample.Of(File.ReadAllBytes(file))).SelectMany(sample => sample.Tensors).ToDictionary(StringComparer.Ordinal);
        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = new HostDevice() }));
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), model.Names.Order(StringComparer.Ordinal));
        Assert.All(expected, entry => Assert.True(entry.Value.AsSpan().SequenceEqual(model[entry.Key].AsReadOnlySpan<byte>()), entry.Key));
    }

    private static Task<Checkpoint> OpenAsync(string address, RemoteCheckpoints remote) => Checkpoint.OpenAsync(address, new CheckpointOptions { Remote = remote });

    private RemoteCheckpoints Remote(RemoteOptions? options = null) => RemoteCheckpoints.Create(options ?? new RemoteOptions { S3 = server.Settings });

    private sealed class CancellingProgress(CancellationTokenSource cancellation) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => cancellation.Cancel();
    }
}
