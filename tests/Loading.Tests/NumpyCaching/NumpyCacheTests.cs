using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The NumPy cache: made once, used while it is its source's, and never left half.</summary>
public sealed class NumpyCacheTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static byte[] Noise(int length, int seed = 0) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 7) + seed))];

    private async Task WriteModelAsync(int seed = 0)
    {
        var builder = new SafetensorsBuilder()
            .Add("model.weight", "F32", [3, 4], Noise(48, seed))
            .Add("model.bias", "BF16", [300, 4], Noise(2400, seed))
            .Add("../evil", "U8", [4], Noise(4, seed))
            .Add("scalar", "F8_E4M3", [], Noise(1, seed))
            .Add("empty", "I64", [0, 2], [])
            .Add("Model.weight", "F16", [2], Noise(4, seed));
        await File.WriteAllBytesAsync(_folder["model.safetensors"], builder.ToBytes());
    }

    private static async Task<byte[]> BytesAsync(TensorInfo tensor)
    {
        var bytes = new byte[tensor.ByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, bytes);
        return bytes;
    }

    private async Task AssertIsModelAsync(Checkpoint cached)
    {
        await using var source = await Checkpoint.OpenAsync(_folder.Path);
        Assert.Equal(source.Tensors.Select(tensor => tensor.Name), cached.Tensors.Select(tensor => tensor.Name));
        foreach (var tensor in source.Tensors)
        {
            var found = cached[tensor.Name];
            Assert.Equal((tensor.DType, tensor.Shape), (found.DType, found.Shape));
            Assert.Equal(await BytesAsync(tensor), await BytesAsync(found));
            Assert.StartsWith(_folder["np"] + Path.DirectorySeparatorChar, Path.GetFullPath(found.File.Path), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Open_FirstTime_WritesEveryTensorBitForBit()
    {
        await WriteModelAsync();
        var progress = new List<LoadProgress>();
        await using var cached = await NumpyCache.OpenAsync(_folder.Path, progress: new Collector(progress));
        Assert.Equal("npy", cached.Format);
        await AssertIsModelAsync(cached);
        Assert.Equal(6, progress[^1].TensorsLoaded);
        Assert.Equal(progress[^1].TotalBytes, progress[^1].BytesRead);
        Assert.Equal(["model.safetensors", "np"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
        // What vLLM opens by name is there under that name.
        var names = JsonSerializer.Deserialize<string[]>(await File.ReadAllBytesAsync(_folder["np/weight_names.json"]))!;
        Assert.All(names, name => Assert.True(File.Exists(Path.Combine(_folder["np"], name))));
        Assert.DoesNotContain("../evil", names);
        Assert.Equal(Noise(48), NpyFile.Parse(await File.ReadAllBytesAsync(_folder["np/model.weight"])).Data.ToArray());
    }

    [Fact]
    public async Task Open_PyTorchFileWithTies_GivesItBackBitForBit()
    {
        await using (var writer = Formats.Torch.TorchWriter.Create(
            _folder["pytorch_model.bin"],
            [new("embed", DType.BF16, new Shape(30, 4)), new("head", DType.BF16, new Shape(30, 4)) { TiedTo = "embed" }, new("bias", DType.F16, new Shape(5))]))
        {
            writer.Write("embed", 0, Noise(240));
            writer.Write("bias", 0, Noise(10, 3));
            await writer.CommitAsync();
        }

        for (var load = 0; load < 2; load++)
        {
            await using var cached = await NumpyCache.OpenAsync(_folder.Path);
            Assert.Equal("npy", cached.Format);
            await AssertIsModelAsync(cached);
            Assert.Equal("embed", cached["head"].TiedTo);
            Assert.Equal(2, cached.Files.Length);
        }
    }

    [Fact]
    public async Task Open_FolderOfBothKinds_IsMadeOfTheSafetensorsFiles()
    {
        await WriteModelAsync();
        await using (var writer = Formats.Torch.TorchWriter.Create(_folder["pytorch_model.bin"], [new("other", DType.F32, new Shape(1))]))
        {
            writer.Write("other", 0, Noise(4));
            await writer.CommitAsync();
        }

        await using var cached = await NumpyCache.OpenAsync(_folder.Path);
        await AssertIsModelAsync(cached);
        Assert.False(cached.TryGetTensor("other", out _));
    }

    [Fact]
    public async Task Open_SecondTime_UsesWhatIsThere()
    {
        await WriteModelAsync();
        await (await NumpyCache.OpenAsync(_folder.Path)).DisposeAsync();
        var made = Stamps();
        var progress = new List<LoadProgress>();
        await using var cached = await NumpyCache.OpenAsync(_folder.Path, progress: new Collector(progress));
        await AssertIsModelAsync(cached);
        Assert.Empty(progress);
        Assert.Equal(made, Stamps());
    }

    [Fact]
    public async Task Open_SourceChanged_MakesItAnew()
    {
        await WriteModelAsync();
        await (await NumpyCache.OpenAsync(_folder.Path)).DisposeAsync();
        await WriteModelAsync(seed: 5);
        File.SetLastWriteTimeUtc(_folder["model.safetensors"], DateTime.UtcNow.AddHours(-3));
        await using var cached = await NumpyCache.OpenAsync(_folder.Path);
        await AssertIsModelAsync(cached);
        Assert.Equal(Noise(48, 5), await BytesAsync(cached["model.weight"]));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{\"version\": 2, \"sources\": [], \"tensors\": []}")]
    [InlineData("{\"version\": 1, \"sources\": [], \"tensors\": []}")]
    [InlineData("{\"version\": 1}")]
    public async Task Open_RecordOfAnotherKind_MakesItAnew(string json)
    {
        await WriteModelAsync();
        await (await NumpyCache.OpenAsync(_folder.Path)).DisposeAsync();
        await File.WriteAllTextAsync(_folder["np/ilgpu-loader.json"], json);
        await using var cached = await NumpyCache.OpenAsync(_folder.Path);
        await AssertIsModelAsync(cached);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Open_CacheOfVllm_IsUsedWhileItIsNewer(bool isNewer)
    {
        var bytes = new SafetensorsBuilder().Add("w", "F32", [2], Noise(8)).ToBytes();
        await File.WriteAllBytesAsync(_folder["model.safetensors"], bytes);
        File.SetLastWriteTimeUtc(_folder["model.safetensors"], DateTime.UtcNow.AddHours(isNewer ? -1 : 1));
        Directory.CreateDirectory(_folder["np"]);
        await using (var writer = await Formats.Numpy.NpyWriter.CreateAsync(_folder["np/w"], new("w", DType.F32, new Shape(2))))
        {
            await writer.WriteAsync("w", 0, Noise(8, 100));
            await writer.CommitAsync();
        }

        await File.WriteAllTextAsync(_folder["np/weight_names.json"], "[\"w\"]");
        await using var cached = await NumpyCache.OpenAsync(_folder.Path);
        Assert.Equal(Noise(8, isNewer ? 100 : 0), await BytesAsync(cached["w"]));
        Assert.Equal(!isNewer, File.Exists(_folder["np/ilgpu-loader.json"]));
    }

    [Theory]
    [InlineData("[\"../model.safetensors\"]")]
    [InlineData("[\"other\"]")]
    [InlineData("[null]")]
    [InlineData("[]")]
    [InlineData("{}")]
    public async Task Open_CacheOfVllmForOtherTensors_MakesItAnew(string names)
    {
        await File.WriteAllBytesAsync(_folder["model.safetensors"], new SafetensorsBuilder().Add("w", "F32", [2], Noise(8)).ToBytes());
        File.SetLastWriteTimeUtc(_folder["model.safetensors"], DateTime.UtcNow.AddHours(-1));
        Directory.CreateDirectory(_folder["np"]);
        await File.WriteAllTextAsync(_folder["np/weight_names.json"], names);
        await using var cached = await NumpyCache.OpenAsync(_folder.Path);
        Assert.Equal(Noise(8), await BytesAsync(cached["w"]));
    }

    [Fact]
    public async Task Open_SomethingElseInItsPlace_IsLeftAlone()
    {
        await WriteModelAsync();
        Directory.CreateDirectory(_folder["np"]);
        await File.WriteAllTextAsync(_folder["np/thesis.txt"], "precious");
        var exception = await Assert.ThrowsAsync<IOException>(() => NumpyCache.OpenAsync(_folder.Path));
        Assert.StartsWith(_folder["np"], exception.Message, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(_folder["np/thesis.txt"]));
    }

    [Fact]
    public async Task Open_CancelledHalfWay_LeavesNothing()
    {
        await WriteModelAsync();
        using var cancellation = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => NumpyCache.OpenAsync(_folder.Path, progress: new Canceller(cancellation), cancellationToken: cancellation.Token));
        Assert.Equal(["model.safetensors"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Open_WhileAnotherMakesIt_WaitsUntilItIsCancelled()
    {
        await WriteModelAsync();
        using var other = await FolderLock.TakeAsync(_folder.Path);
        using var cancellation = new CancellationTokenSource();
        var waiting = NumpyCache.OpenAsync(_folder.Path, cancellationToken: cancellation.Token);
        Assert.False(waiting.IsCompleted);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.False(Directory.Exists(_folder["np"]));
    }

    [Fact]
    public async Task Open_ManyAtOnce_MakeItOnce()
    {
        await WriteModelAsync();
        var progress = new List<LoadProgress>();
        var opened = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => NumpyCache.OpenAsync(_folder.Path, progress: new Collector(progress))));
        Assert.Equal(6, progress.Count(report => report.TensorsLoaded > 0));
        foreach (var cached in opened)
        {
            await AssertIsModelAsync(cached);
            await cached.DisposeAsync();
        }
    }

    [Fact]
    public async Task Open_BlockTypes_AreRefusedBeforeAnythingIsWritten()
    {
        await File.WriteAllBytesAsync(_folder["model.gguf"], GoldenArchive.Read(GgufManifest.Set, "all-types.gguf"));
        await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => NumpyCache.OpenAsync(_folder.Path));
        Assert.False(Directory.Exists(_folder["np"]));
    }

    [Fact]
    public async Task Open_NoFolder_Throws()
    {
        await WriteModelAsync();
        await Assert.ThrowsAsync<DirectoryNotFoundException>(() => NumpyCache.OpenAsync(_folder["model.safetensors"]));
        await Assert.ThrowsAsync<DirectoryNotFoundException>(() => NumpyCache.OpenAsync(_folder["missing"]));
    }

    private string[] Stamps() =>
        [.. Directory.EnumerateFiles(_folder["np"]).Order().Select(path => $"{path} {File.GetLastWriteTimeUtc(path):O}")];

    private sealed class Collector(List<LoadProgress> reports) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            lock (reports)
            {
                reports.Add(value);
            }
        }
    }

    private sealed class Canceller(CancellationTokenSource cancellation) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            if (value.TensorsLoaded == 2)
            {
                cancellation.Cancel();
            }
        }
    }
}
