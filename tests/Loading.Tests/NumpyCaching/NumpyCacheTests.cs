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

    private async Task WriteModelAsync(int seed = 0, string file = "pytorch_model.bin")
    {
        await using var writer = Formats.Torch.TorchWriter.Create(
            _folder[file],
            [
                new("model.weight", DType.F32, new Shape(3, 4)),
                new("model.bias", DType.BF16, new Shape(300, 4)),
                new("../evil", DType.U8, new Shape(4)),
                new("scalar", DType.F8_E4M3, new Shape()),
                new("empty", DType.I64, new Shape(0, 2)),
                new("Model.weight", DType.F16, new Shape(2)),
            ]);
        writer.Write("model.weight", 0, Noise(48, seed));
        writer.Write("model.bias", 0, Noise(2400, seed));
        writer.Write("../evil", 0, Noise(4, seed));
        writer.Write("scalar", 0, Noise(1, seed));
        writer.Write("Model.weight", 0, Noise(4, seed));
        await writer.CommitAsync();
    }

    private async Task WriteOneAsync(string file = "pytorch_model.bin", int seed = 0)
    {
        await using var writer = Formats.Torch.TorchWriter.Create(_folder[file], [new("w", DType.F32, new Shape(2))]);
        writer.Write("w", 0, Noise(8, seed));
        await writer.CommitAsync();
    }

    // As vLLM has it: the array under the tensor's name, and the list.
    private async Task WriteForeignAsync(DType dtype, Shape shape, int seed = 100)
    {
        Directory.CreateDirectory(_folder["np"]);
        await using (var writer = await Formats.Numpy.NpyWriter.CreateAsync(_folder["np/w"], new("w", dtype, shape)))
        {
            await writer.WriteAsync("w", 0, Noise((int)dtype.ByteCount(shape.ElementCount), seed));
            await writer.CommitAsync();
        }

        await File.WriteAllTextAsync(_folder["np/weight_names.json"], "[\"w\"]");
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
        Assert.Equal(["np", "pytorch_model.bin"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
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

        // vLLM, which knows of no ties, gets a whole array for each name.
        var names = JsonSerializer.Deserialize<string[]>(await File.ReadAllBytesAsync(_folder["np/weight_names.json"]))!;
        Assert.Equal(["bias", "embed", "head"], names.Order());
        Assert.Equal(Noise(240), NpyFile.Parse(await File.ReadAllBytesAsync(_folder["np/head"])).Data.ToArray());
    }

    [Fact]
    public async Task Open_FolderOfBothKinds_OpensTheSafetensorsFiles()
    {
        await WriteModelAsync();
        await File.WriteAllBytesAsync(_folder["model.safetensors"], new SafetensorsBuilder().Add("w", "F32", [2], Noise(8)).ToBytes());
        await using var opened = await NumpyCache.OpenAsync(_folder.Path);
        Assert.Equal(("safetensors", "w"), (opened.Format, Assert.Single(opened.Tensors).Name));
        Assert.False(Directory.Exists(_folder["np"]));
    }

    [Theory]
    [InlineData("safetensors")]
    [InlineData("gguf")]
    [InlineData("npz")]
    public async Task Open_FilesOfAnotherFormat_GivesThemThemselvesAndWritesNothing(string format)
    {
        await File.WriteAllBytesAsync(_folder["a.safetensors"], new SafetensorsBuilder().Add("w", "F32", [2], Noise(8)).ToBytes());
        Directory.CreateDirectory(_folder["m"]);
        await using (var source = await Checkpoint.OpenAsync(_folder["a.safetensors"]))
        {
            await CheckpointConverter.ConvertAsync(source, _folder[$"m/model.{format}"]);
        }

        await using var opened = await NumpyCache.OpenAsync(_folder["m"]);
        Assert.Equal(format, opened.Format);
        Assert.Equal([$"model.{format}"], Directory.EnumerateFileSystemEntries(_folder["m"]).Select(Path.GetFileName));
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
        File.SetLastWriteTimeUtc(_folder["pytorch_model.bin"], DateTime.UtcNow.AddHours(-3));
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
        await WriteOneAsync();
        File.SetLastWriteTimeUtc(_folder["pytorch_model.bin"], DateTime.UtcNow.AddHours(isNewer ? -1 : 1));
        await WriteForeignAsync(DType.F32, new Shape(2));
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
        await WriteOneAsync();
        File.SetLastWriteTimeUtc(_folder["pytorch_model.bin"], DateTime.UtcNow.AddHours(-1));
        Directory.CreateDirectory(_folder["np"]);
        await File.WriteAllTextAsync(_folder["np/weight_names.json"], names);
        await using var cached = await NumpyCache.OpenAsync(_folder.Path);
        Assert.Equal(Noise(8), await BytesAsync(cached["w"]));
    }

    [Fact]
    public async Task Open_CacheOfVllmAndAVariant_GivesTheVariantsValues()
    {
        await WriteOneAsync();
        await WriteOneAsync("pytorch_model.fp16.bin", seed: 50);
        File.SetLastWriteTimeUtc(_folder["pytorch_model.bin"], DateTime.UtcNow.AddHours(-1));
        File.SetLastWriteTimeUtc(_folder["pytorch_model.fp16.bin"], DateTime.UtcNow.AddHours(-1));
        await WriteForeignAsync(DType.F32, new Shape(2));
        await using var cached = await NumpyCache.OpenAsync(_folder.Path, new CheckpointOptions { Variant = "fp16" });
        Assert.Equal("npy", cached.Format);
        Assert.Equal(Noise(8, 50), await BytesAsync(cached["w"]));
    }

    [Theory]
    [InlineData(DType.F64, 2)]
    [InlineData(DType.F32, 3)]
    [InlineData(DType.I32, 2)]
    // What only a record of ours can tell: also the state that a process sees while another puts its cache in place.
    [InlineData(DType.BF16, 2)]
    public async Task Open_CacheOfVllmOfOtherTypesOrShapes_MakesItAnew(DType dtype, int length)
    {
        await WriteOneAsync();
        File.SetLastWriteTimeUtc(_folder["pytorch_model.bin"], DateTime.UtcNow.AddHours(-1));
        await WriteForeignAsync(dtype, new Shape(length));
        await using var cached = await NumpyCache.OpenAsync(_folder.Path);
        Assert.Equal((DType.F32, new Shape(2)), (cached["w"].DType, cached["w"].Shape));
        Assert.Equal(Noise(8), await BytesAsync(cached["w"]));
    }

    [Theory]
    [InlineData("model.weight", null)]
    [InlineData("model.weight", 0)]
    [InlineData("model.weight", 100)]
    [InlineData("model.bias", 2000)]
    [InlineData("weight_names.json", null)]
    public async Task Open_DamagedCacheOfOurs_MakesItAnew(string file, int? length)
    {
        await WriteModelAsync();
        await (await NumpyCache.OpenAsync(_folder.Path)).DisposeAsync();
        var path = Path.Combine(_folder["np"], file);
        if (length is { } cut)
        {
            await using var stream = File.OpenWrite(path);
            stream.SetLength(cut);
        }
        else
        {
            File.Delete(path);
        }

        var opening = await NumpyCache.OpenReportedAsync(_folder.Path);
        await using var cached = opening.Checkpoint;
        Assert.NotNull(opening.Made);
        await AssertIsModelAsync(cached);
    }

    [Fact]
    public async Task Open_WhileOthersReplaceIt_GivesWhatWasAskedFor()
    {
        await WriteOneAsync();
        await WriteOneAsync("pytorch_model.fp16.bin", seed: 50);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            var isVariant = worker % 2 == 1;
            for (var i = 0; i < 25; i++)
            {
                await using var cached = await NumpyCache.OpenAsync(_folder.Path, new CheckpointOptions { Variant = isVariant ? "fp16" : null });
                Assert.Equal("npy", cached.Format);
                Assert.Equal(Noise(8, isVariant ? 50 : 0), await BytesAsync(cached["w"]));
            }
        })));
    }

    [Fact]
    public async Task OpenReported_MadeAndFound_SaysWhich()
    {
        await WriteModelAsync();
        var made = await NumpyCache.OpenReportedAsync(_folder.Path);
        await made.Checkpoint.DisposeAsync();
        Assert.Equal((_folder["np"], true, false), (made.CachePath, made.Made is not null, made.Waited is not null));
        var found = await NumpyCache.OpenReportedAsync(_folder.Path);
        await found.Checkpoint.DisposeAsync();
        Assert.Equal((_folder["np"], false, false), (found.CachePath, found.Made is not null, found.Waited is not null));
    }

    [Fact]
    public async Task OpenExisting_NoCache_OpensTheModelAndWritesNothing()
    {
        await WriteModelAsync();
        var missing = await NumpyCache.OpenExistingAsync(_folder.Path);
        await using (missing.Checkpoint)
        {
            Assert.Equal((true, "pytorch"), (missing.IsMissing, missing.Checkpoint.Format));
        }

        Assert.Equal(["pytorch_model.bin"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName));
        await (await NumpyCache.OpenAsync(_folder.Path)).DisposeAsync();
        var there = await NumpyCache.OpenExistingAsync(_folder.Path);
        await using var cached = there.Checkpoint;
        Assert.False(there.IsMissing);
        await AssertIsModelAsync(cached);
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
        Assert.Equal(["pytorch_model.bin"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName));
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
    public async Task Open_NoFolder_Throws()
    {
        await WriteModelAsync();
        await Assert.ThrowsAsync<DirectoryNotFoundException>(() => NumpyCache.OpenAsync(_folder["pytorch_model.bin"]));
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
