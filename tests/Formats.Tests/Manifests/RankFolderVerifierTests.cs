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
        Assert.Equal(Files().Sum(file => new FileInfo(file).Length), read[^1]);
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
                file = new ManifestFile(name, writer.Length, Convert.ToHexStringLower(SHA256.HashData([.. writer.Header.Span, .. bytes])));
            }

            await folder.FinishAsync(new RankManifest("a", rank, 2, "p", [file], new TensorManifest([])).ToBytes());
        }
    }

    private string[] Files() => [.. Directory.EnumerateFiles(_folder["m"], "*.safetensors").Order(StringComparer.Ordinal)];

    private sealed class Recorder(List<long> reports) : IProgress<long>
    {
        public void Report(long value) => reports.Add(value);
    }
}
