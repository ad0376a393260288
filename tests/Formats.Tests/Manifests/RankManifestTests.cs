using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class RankManifestTests : IDisposable
{
    private static readonly string Hash = new('a', 64);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task ToBytes_ThenRead_GivesAllOfIt()
    {
        var tensors = new TensorManifest([
            new("weight\n\"q\"", new ManifestEntry(DType.BF16, new Shape(2, 0, 3), Hash)), new("b", new ManifestEntry(DType.F32, new Shape(), Hash))]);
        var manifest = new RankManifest("a.B_c-1", 3, 4, "model-{rank}", [new("x.safetensors", 1L << 40, Hash), new("ü.bin", 0, Hash)], tensors);
        var read = await RankManifest.ReadAsync(_folder.Write(RankManifest.FileName(3), manifest.ToBytes()));
        Assert.Equal(
            (manifest.SaveId, manifest.Rank, manifest.WorldSize, manifest.Pattern), (read.SaveId, read.Rank, read.WorldSize, read.Pattern));
        Assert.Equal<ManifestFile>(manifest.Files.ToArray(), read.Files.ToArray());
        Assert.Equal(tensors.Entries.ToArray(), read.Tensors.Entries.ToArray());
        Assert.Equal(manifest.ToBytes(), read.ToBytes());
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("{\"schema\": \"ilgpu-loader/manifest/1\"}")]
    [InlineData("{\"schema\": 1}")]
    public Task Read_WhatIsNoRanksManifest_IsRefused(string text) => AssertRefusedAsync(text);

    [Theory]
    [InlineData("\"save\": \"s\"", "\"save\": \".s\"")]
    [InlineData("\"save\": \"s\"", "\"save\": \"a/b\"")]
    [InlineData("\"save\": \"s\"", "\"save\": null")]
    [InlineData("\"rank\": 0", "\"rank\": 2")]
    [InlineData("\"rank\": 0", "\"rank\": -1")]
    [InlineData("\"rank\": 0", "\"rank\": 0, \"rank\": 0")]
    [InlineData("\"world_size\": 2", "\"world_size\": 0")]
    [InlineData("\"world_size\": 2", "\"world_size\": 3000000000")]
    [InlineData("\"world_size\": 2", "\"world_size\": \"2\"")]
    [InlineData("\"pattern\": \"p\"", "\"pattern\": 1")]
    [InlineData("\"name\": \"f\"", "\"name\": \"../f\"")]
    [InlineData("\"name\": \"f\"", "\"name\": \"/f\"")]
    [InlineData("\"name\": \"f\"", "\"name\": \"a\\\\f\"")]
    [InlineData("\"name\": \"f\"", "\"name\": \"..\"")]
    [InlineData("\"name\": \"f\"", "\"name\": \"\"")]
    [InlineData("\"name\": \"f\"", "\"name\": \"rank-1.json\"")]
    [InlineData("\"name\": \"f\"", "\"name\": \"g\"")]
    [InlineData("\"bytes\": 1", "\"bytes\": -1")]
    [InlineData("\"bytes\": 1", "\"bytes\": 1.5")]
    [InlineData("aaaa\"}", "aaa\"}")]
    [InlineData("aaaa\"}", "aaaA\"}")]
    [InlineData("\"tensors\": {", "\"tensors\": [], \"t\": {")]
    [InlineData("\"tensors\": {", "\"tensors\": {\"t\": {}")]
    [InlineData("\"files\": [", "\"files\": [1, ")]
    [InlineData("\"carried\": [", "\"carrier\": [")]
    [InlineData("\"carried\": [", "\"carried\": [1, ")]
    [InlineData("\"name\": \"h\"", "\"name\": \"f\"")]
    [InlineData("\"header_sha256\": \"", "\"header_sha256\": \"x")]
    public async Task Read_AFieldThatIsWrong_IsRefused(string valid, string broken)
    {
        var text = Encoding.UTF8.GetString(new RankManifest("s", 0, 2, "p", [new("f", 1, Hash, Hash), new("g", 1, Hash)], new TensorManifest([]), [new("h", 1, Hash)]).ToBytes());
        Assert.Contains(valid, text, StringComparison.Ordinal);
        var index = text.IndexOf(valid, StringComparison.Ordinal);
        await AssertRefusedAsync(text[..index] + broken + text[(index + valid.Length)..]);
    }

    [Fact]
    public void New_WhatCannotBe_IsRefused()
    {
        var none = new TensorManifest([]);
        Assert.Throws<ArgumentException>(() => new RankManifest("a/b", 0, 1, "p", [], none));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankManifest("a", 1, 1, "p", [], none));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RankManifest("a", 0, 0, "p", [], none));
        Assert.Throws<ArgumentException>(() => new RankManifest("a", 0, 1, "p", [new("a/b", 1, Hash)], none));
        Assert.Throws<ArgumentException>(() => new RankManifest("a", 0, 1, "p", [new("a", 1, "x")], none));
        Assert.Throws<ArgumentException>(() => new RankManifest("a", 0, 1, "p", [new("a", 1, Hash), new("a", 1, Hash)], none));
    }

    [Fact]
    public async Task ReadFolder_WithoutManifests_IsEmpty()
    {
        _folder.Write("config.json", "{}");
        Assert.Empty(await RankManifest.ReadFolderAsync(_folder.Path));
    }

    [Fact]
    public async Task ReadFolder_AllRanks_AreInTheirOrder()
    {
        for (var rank = 0; rank < 12; rank++)
        {
            Write(rank, 12);
        }

        Assert.Equal(Enumerable.Range(0, 12), (await RankManifest.ReadFolderAsync(_folder.Path)).Select(manifest => manifest.Rank));
    }

    [Fact]
    public async Task ReadFolder_RanksThatAreMissing_AreNamed()
    {
        Write(1, 4);
        Write(2, 4);
        await AssertFolderRefusedAsync("2 ranks (0, 3) of the world size 4 are not there");
        Write(0, 4);
        await AssertFolderRefusedAsync("rank 3 of the world size 4 is not there");
        File.Delete(_folder["rank-0.json"]);
        File.Delete(_folder["rank-2.json"]);
        Write(1, int.MaxValue);
        await AssertFolderRefusedAsync("2147483646 ranks (0, 2, 3, 4, 5, 6, 7, 8, …)");
    }

    [Theory]
    [InlineData("b", 2, "p", "f1", "save")]
    [InlineData("a", 3, "p", "f1", "world size")]
    [InlineData("a", 2, "q", "f1", "pattern")]
    [InlineData("a", 2, "p", "f0", "'f0'")]
    public async Task ReadFolder_ManifestsThatDisagree_AreRefusedWithWhat(string save, int worldSize, string pattern, string file, string problem)
    {
        Write(0, 2);
        Write(1, worldSize, save, pattern, file);
        await AssertFolderRefusedAsync(problem);
    }

    [Fact]
    public async Task ReadFolder_AManifestUnderAnothersName_IsRefused()
    {
        _folder.Write("rank-1.json", Manifest(0, 2).ToBytes());
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => RankManifest.ReadFolderAsync(_folder.Path));
        Assert.Contains("rank-0.json", exception.Message, StringComparison.Ordinal);
    }

    private static RankManifest Manifest(int rank, int worldSize, string save = "a", string pattern = "p", string? file = null) =>
        new(save, rank, worldSize, pattern, [new(file ?? $"f{rank}", 1, Hash)], new TensorManifest([]));

    private void Write(int rank, int worldSize, string save = "a", string pattern = "p", string? file = null) =>
        _folder.Write(RankManifest.FileName(rank), Manifest(rank, worldSize, save, pattern, file).ToBytes());

    private async Task AssertFolderRefusedAsync(string part)
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => RankManifest.ReadFolderAsync(_folder.Path));
        Assert.Equal(CheckpointErrorCode.ManifestInvalid, exception.Code);
        Assert.Contains(part, exception.Message, StringComparison.Ordinal);
    }

    private async Task AssertRefusedAsync(string text)
    {
        var path = _folder.Write("rank-0.json", text);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => RankManifest.ReadAsync(path));
        Assert.Equal(CheckpointErrorCode.ManifestInvalid, exception.Code);
        Assert.StartsWith(path + ": ", exception.Message, StringComparison.Ordinal);
    }
}
