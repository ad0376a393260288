using System.Security.Cryptography;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>A folder of ranks is what its manifests say, byte for byte, and each file is one.</summary>
public sealed class RankFolderVerifierTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Verify_WhatWasSaved_IsValidWithoutAWarning()
    {
        await SaveAsync();
        Assert.True(RankFolderVerifier.IsRankFolder(_folder["m"]));
        var read = new List<long>();
        var result = await RankFolderVerifier.VerifyAsync(_folder["m"], progress: new Recorder(read));
        Assert.Null(result.Failure);
        Assert.Empty(result.Warnings);
        Assert.Equal(Files().Sum(file => new FileInfo(file).Length) + 2, read[^1]);
    }

    [Theory]
    [InlineData("hash", "t", "SHA-256")]
    [InlineData("dtype", "t", "it is U8 [2097152] in rank 1, expected was I8 [2097152]")]
    [InlineData("shape", "t", "expected was U8 [2097151]")]
    [InlineData("name", "t", "the manifest of rank 1 does not have it")]
    [InlineData("more", "more", "no file of rank 1 has it")]
    public async Task Verify_TensorsThatAreNotTheManifests_AreAMismatch(string changed, string tensor, string problem)
    {
        await SaveAsync();
        await ChangeAsync(1, manifest =>
        {
            var entry = manifest.Tensors.Entries["t"];
            KeyValuePair<string, ManifestEntry>[] entries = changed switch
            {
                "hash" => [new("t", entry with { Sha256 = Hash("x"u8) })],
                "dtype" => [new("t", entry with { DType = DType.I8 })],
                "shape" => [new("t", entry with { Shape = new Shape(2097151) })],
                "name" => [],
                _ => [new("t", entry), new("more", entry)],
            };
            return new RankManifest(manifest.SaveId, 1, 2, manifest.Pattern, manifest.Files, new TensorManifest(entries), manifest.Carried);
        });
        var exception = Assert.IsType<ManifestMismatchException>((await RankFolderVerifier.VerifyAsync(_folder["m"])).Failure);
        var mismatch = Assert.Single(exception.Mismatches);
        Assert.Equal(tensor, mismatch.Tensor);
        Assert.Contains(problem, mismatch.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_AHeadersHashThatIsAnother_IsAMismatch()
    {
        await SaveAsync();
        await ChangeAsync(1, manifest => new RankManifest(
            manifest.SaveId, 1, 2, manifest.Pattern, manifest.Files.Select(file => file with { HeaderSha256 = Hash("x"u8) }), manifest.Tensors, manifest.Carried));
        var exception = Assert.IsType<ManifestMismatchException>((await RankFolderVerifier.VerifyAsync(_folder["m"])).Failure);
        Assert.Equal("model-rank-1-part-0.safetensors", Assert.Single(exception.Files).File);
    }

    [Fact]
    public async Task Verify_AConfigurationThatWasChanged_IsAMismatch()
    {
        await SaveAsync();
        _folder.Write("m/config.json", "[]");
        var exception = Assert.IsType<ManifestMismatchException>((await RankFolderVerifier.VerifyAsync(_folder["m"])).Failure);
        Assert.Equal("config.json", Assert.Single(exception.Files).File);
        File.Delete(_folder["m/config.json"]);
        Assert.Equal("ShardMissing", (await RankFolderVerifier.VerifyAsync(_folder["m"])).Code);
    }

    [Fact]
    public async Task Verify_APartThatNoManifestLists_IsAWarningThatNamesIt()
    {
        await SaveAsync();
        File.Copy(Files()[0], _folder["m/model-rank-0-part-1.safetensors"]);
        var result = await RankFolderVerifier.VerifyAsync(_folder["m"]);
        Assert.Null(result.Failure);
        Assert.Equal(_folder["m/model-rank-0-part-1.safetensors"], Assert.Single(result.Warnings).File);
    }

    [Theory]
    [InlineData("rank-notes.json")]
    [InlineData("rank-00.json")]
    [InlineData("rank-.json")]
    [InlineData("rank-+1.json")]
    [InlineData("rank-99999999999.json")]
    public async Task Verify_FilesThatAreOnlyNamedAlikeManifests_AreNone(string name)
    {
        _folder.Write(name, "{}");
        Assert.False(RankFolderVerifier.IsRankFolder(_folder.Path));
        Assert.False(RankManifest.IsFileName(name));
        await SaveAsync();
        _folder.Write("m/" + name, "mine");
        Assert.Null((await RankFolderVerifier.VerifyAsync(_folder["m"])).Failure);
    }

    [Fact]
    public async Task Verify_BytesThatWereChanged_IsAMismatchThatNamesEachFile()
    {
        await SaveAsync();
        foreach (var file in Files())
        {
            var content = await File.ReadAllBytesAsync(file);
            content[^1] ^= 1;
            await File.WriteAllBytesAsync(file, content);
        }

        var exception = Assert.IsType<ManifestMismatchException>((await RankFolderVerifier.VerifyAsync(_folder["m"])).Failure);
        Assert.Equal(Files().Select(Path.GetFileName), exception.Files.Select(mismatch => mismatch.File));
        Assert.All(Files(), file => Assert.Contains(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file))), exception.Message, StringComparison.Ordinal));
        Assert.Contains("2 files differ", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_AFileOfAnotherSize_IsAMismatchWithBothSizes()
    {
        await SaveAsync();
        await File.AppendAllTextAsync(Files()[1], "x");
        var exception = Assert.IsType<ManifestMismatchException>((await RankFolderVerifier.VerifyAsync(_folder["m"])).Failure);
        var length = new FileInfo(Files()[1]).Length;
        Assert.Contains($"it has {length} bytes, expected were {length - 1}", Assert.Single(exception.Files).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_AFileThatIsMissing_IsInvalidAndNamed()
    {
        await SaveAsync();
        File.Delete(Files()[1]);
        var result = await RankFolderVerifier.VerifyAsync(_folder["m"]);
        Assert.Equal("ShardMissing", result.Code);
        Assert.Contains("of rank 1", result.Failure!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_AManifestThatIsMissing_IsInvalid()
    {
        await SaveAsync();
        File.Delete(_folder["m/rank-1.json"]);
        Assert.Equal("ManifestInvalid", (await RankFolderVerifier.VerifyAsync(_folder["m"])).Code);
    }

    [Fact]
    public async Task Verify_AFileThatIsAsRecordedAndBroken_IsInvalid()
    {
        await using (var folder = await JoinedFolder.JoinAsync(_folder["m"], "a", 0, 1))
        {
            var content = new byte[] { 9, 0, 0, 0, 0, 0, 0, 0 };
            await folder.WriteAllBytesAsync("broken.safetensors", content);
            await folder.FinishAsync(new RankManifest(
                "a", 0, 1, "p", [new("broken.safetensors", 8, Convert.ToHexStringLower(SHA256.HashData(content)))], new TensorManifest([])).ToBytes());
        }

        Assert.Equal("HeaderOutOfFile", (await RankFolderVerifier.VerifyAsync(_folder["m"])).Code);
    }

    [Fact]
    public async Task Verify_WithoutManifests_ChecksEachFileAndWarns()
    {
        await SaveAsync();
        File.Delete(_folder["m/rank-0.json"]);
        File.Delete(_folder["m/rank-1.json"]);
        Assert.True(RankFolderVerifier.IsRankFolder(_folder["m"]));
        var inspected = new List<string>();
        var result = await RankFolderVerifier.VerifyAsync(_folder["m"], inspect: (checkpoint, _) =>
        {
            inspected.Add(checkpoint.Path);
            return Task.CompletedTask;
        });
        Assert.Null(result.Failure);
        Assert.Contains("not verified", Assert.Single(result.Warnings).Message, StringComparison.Ordinal);
        Assert.Equal(Files(), inspected);
        await File.WriteAllBytesAsync(Files()[1], new byte[3]);
        result = await RankFolderVerifier.VerifyAsync(_folder["m"]);
        Assert.False(result.IsValid);
        Assert.Contains(Files()[1], result.Failure!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("model-rank-0.safetensors")]
    [InlineData("model-rank-x-part-0.safetensors")]
    [InlineData("model-rank--part-.safetensors")]
    public void IsRankFolder_OtherNames_IsNot(string name)
    {
        _folder.Write(name, "");
        Assert.False(RankFolderVerifier.IsRankFolder(_folder.Path));
        Assert.False(RankFolderVerifier.IsRankFolder(_folder[name]));
    }

    [Fact]
    public async Task Ensure_Cancelled_Ends()
    {
        await SaveAsync();
        var manifests = await RankManifest.ReadFolderAsync(_folder["m"]);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => RankManifestVerifier.EnsureAsync(_folder["m"], manifests, cancellationToken: new CancellationToken(canceled: true)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => RankFolderVerifier.VerifyAsync(_folder["m"], cancellationToken: new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task Ensure_TheManifestOfOneRank_LooksAtItsFilesOnly()
    {
        await SaveAsync();
        var manifests = await RankManifest.ReadFolderAsync(_folder["m"]);
        File.Delete(Files()[1]);
        await RankManifestVerifier.EnsureAsync(_folder["m"], [manifests[0]]);
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => RankManifestVerifier.EnsureAsync(_folder["m"], manifests));
    }

    [Fact]
    public async Task Open_AFolderOfSeveralRanks_SaysHowItIsLoaded()
    {
        await SaveAsync();
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(_folder["m"]));
        Assert.Equal(CheckpointErrorCode.DuplicateTensor, exception.Code);
        Assert.Contains("load --sharded --rank", exception.Message, StringComparison.Ordinal);
    }

    // As a saver hashes: the header that the writer tells, then the tensors in their order.
    private async Task SaveAsync()
    {
        for (var rank = 0; rank < 2; rank++)
        {
            await using var folder = await JoinedFolder.JoinAsync(_folder["m"], "a", rank, 2);
            var name = $"model-rank-{rank}-part-0.safetensors";
            var bytes = new byte[2 << 20];
            new Random(rank).NextBytes(bytes);
            ManifestFile file;
            await using (var writer = await SafetensorsWriter.CreateAsync(folder, name, [new("t", DType.U8, new Shape(bytes.Length))]))
            {
                await writer.WriteAsync("t", 0, bytes);
                await writer.CommitAsync();
                file = new ManifestFile(name, writer.Length, Hash([.. writer.Header.Span, .. bytes]), Hash(writer.Header.Span));
            }

            var config = "{}"u8.ToArray();
            await folder.FinishAsync(
                new RankManifest("a", rank, 2, "p", [file], new TensorManifest([new("t", new ManifestEntry(DType.U8, new Shape(bytes.Length), Hash(bytes)))]), [new("config.json", 2, Hash(config))]).ToBytes(),
                (beside, token) => beside.WriteAllBytesAsync("config.json", config, token));
        }
    }

    // Writes a rank's manifest with something changed.
    private async Task ChangeAsync(int rank, Func<RankManifest, RankManifest> change)
    {
        var path = _folder["m/" + RankManifest.FileName(rank)];
        await File.WriteAllBytesAsync(path, change(await RankManifest.ReadAsync(path)).ToBytes());
    }

    private static string Hash(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private string[] Files() => [.. Directory.EnumerateFiles(_folder["m"], "*.safetensors").Order(StringComparer.Ordinal)];

    private sealed class Recorder(List<long> reports) : IProgress<long>
    {
        public void Report(long value) => reports.Add(value);
    }
}
