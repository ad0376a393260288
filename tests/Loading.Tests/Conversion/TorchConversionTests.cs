using System.IO.Compression;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Conversions to PyTorch files, as the records of the archive show them and as PyTorch itself loads them.</summary>
public sealed class TorchConversionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("out.pt")]
    [InlineData("out.pth")]
    [InlineData("out.BIN")]
    public async Task Every_tensor_that_is_kept_is_a_storage_with_its_bytes(string output)
    {
        var sample = Sample.MakeRandom(4);
        // Types smaller than a byte are none of PyTorch's.
        await using var checkpoint = await sample.OpenAsync();
        string[] held = [.. checkpoint.Tensors.Where(tensor => !tensor.DType.IsSubByte).Select(tensor => tensor.Name)];
        var options = new ConversionOptions { Choice = new TensorChoice([.. held], []), Lanes = 3, StagingBytes = 64 << 10 };
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder[output], options);
        Assert.Equal((OutputFormat.Torch, held.Length, 0), (result.Format, result.Tensors, result.ConvertedTensors));
        Assert.Equal([output], result.WeightFiles.ToArray());
        Assert.Equal(held.Select(name => Convert.ToHexString(sample.Tensors[name])), StoragesOf(_folder[output]).Select(Convert.ToHexString));
    }

    [Fact]
    public async Task What_is_written_comes_back_as_it_was()
    {
        // Every type that PyTorch has, in shapes with and without elements.
        DType[] dtypes = [.. Enum.GetValues<DType>().Where(dtype => dtype.IsSafetensors && !dtype.IsSubByte)];
        var sample = Sample.Make(6, dtypes.SelectMany(dtype => (IEnumerable<(string, DType, long[])>)
            [($"{dtype}.matrix", dtype, [3, 5]), ($"{dtype}.scalar", dtype, []), ($"{dtype}.empty", dtype, [2, 0, 3])]));
        await using var checkpoint = await sample.OpenAsync();
        foreach (var (output, maximum) in ((string, long)[])[("out.pt", 1000), ("folder", 200)])
        {
            var options = new ConversionOptions { Format = OutputFormat.Torch, MaximumShardBytes = maximum };
            await CheckpointConverter.ConvertAsync(checkpoint, _folder[output], options);
            await using var again = await Checkpoint.OpenAsync(_folder[output]);
            Assert.Empty(again.Warnings);
            Assert.Equal(sample.Tensors.Keys.Order(StringComparer.Ordinal), again.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
            foreach (var tensor in again.Tensors)
            {
                Assert.Equal((checkpoint[tensor.Name].DType, checkpoint[tensor.Name].Shape, true), (tensor.DType, tensor.Shape, tensor.IsWholeStorage));
                var bytes = new byte[tensor.ByteLength];
                await tensor.File.Source.ReadExactlyAsync(tensor.Offset, bytes);
                Assert.Equal(sample.Tensors[tensor.Name], bytes);
            }
        }
    }

    [Theory]
    [InlineData(null, 1000)]
    [InlineData(DType.F32, 10)]
    public async Task Tied_tensors_come_back_tied(DType? dtype, long maximumShardBytes)
    {
        await using var checkpoint = await OpenTiedAsync();
        var options = new ConversionOptions { Format = OutputFormat.Torch, DType = dtype, MaximumShardBytes = maximumShardBytes };
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], options);
        await using var again = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Empty(again.Warnings);
        Assert.Equal(["embed", "head", "tail", "other"], again.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([null, "embed", "embed", null], again.Tensors.Select(tensor => tensor.TiedTo));
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F8_E5M2)]
    public async Task Floats_become_what_their_codec_gives(DType dtype)
    {
        var sample = Sample.Make(3, ("a", DType.BF16, [70_001]), ("b", DType.F32, [3, 20_001]), ("c", DType.I64, [9]), ("d", DType.F16, []));
        await using var checkpoint = await sample.OpenAsync();
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.pt"], new ConversionOptions { DType = dtype, Lanes = 2 });
        var expected = checkpoint.Tensors.Select(tensor =>
        {
            var stored = sample.Tensors[tensor.Name];
            if (!tensor.DType.HoldsFloats || tensor.DType == dtype)
            {
                return stored;
            }

            var values = new byte[dtype.ByteCount(tensor.ElementCount)];
            Codecs.Of(tensor.DType).DecodeScalar(stored, values, dtype);
            return values;
        });
        Assert.Equal(expected.Select(Convert.ToHexString), StoragesOf(_folder["out.pt"]).Select(Convert.ToHexString));
    }

    [PythonTorchFact]
    public async Task What_is_converted_loads_in_PyTorch_with_its_ties()
    {
        await using var checkpoint = await OpenTiedAsync();
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.pt"], new ConversionOptions { DType = DType.F32 });
        Assert.Equal((2, 2), (result.Tensors, result.Ties));
        var loaded = await LoadedByTorch.LoadAsync(_folder["out.pt"]);
        Assert.Equal(["embed", "head", "tail", "other"], loaded.Select(tensor => tensor.Name));
        Assert.All(loaded, tensor => Assert.Equal(("torch.float32", "0000803f000000c0"), (tensor.DType, tensor.Bytes)));
        Assert.All(loaded, tensor => Assert.Equal([2], tensor.Shape));
        Assert.Equal([0, 0, 0, 1], loaded.Select(tensor => tensor.Storage));
    }

    [Fact]
    public async Task Ties_share_a_storage_unless_they_are_to_be_duplicated()
    {
        await using var checkpoint = await OpenTiedAsync();
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["shared.pt"]);
        Assert.Equal(["803F00C0", "803F00C0"], StoragesOf(_folder["shared.pt"]).Select(Convert.ToHexString));
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["full.pt"], new ConversionOptions { DuplicateTies = true });
        Assert.Equal((4, 0, 16L), (result.Tensors, result.Ties, result.BytesWritten));
        Assert.Equal(4, StoragesOf(_folder["full.pt"]).Count);
    }

    [Fact]
    public async Task A_folder_has_the_names_of_transformers_and_an_index_with_all_names()
    {
        await using var checkpoint = await OpenTiedAsync();
        var options = new ConversionOptions { Format = OutputFormat.Torch, MaximumShardBytes = 4 };
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], options);
        Assert.Equal(["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"], result.WeightFiles.ToArray());
        Assert.Equal(
            ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"],
            Directory.EnumerateFiles(_folder["out"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        using var index = JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(_folder["out"], "pytorch_model.bin.index.json")));
        Assert.Equal(8, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        Assert.Equal(
            ["embed:1", "head:1", "other:2", "tail:1"],
            index.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => $"{entry.Name}:{entry.Value.GetString()![18]}"));
        Assert.All(Directory.EnumerateFiles(_folder["out"]), path => Assert.True(CheckpointConverter.MayReplace(Path.GetFileName(path))));

        var single = await CheckpointConverter.ConvertAsync(checkpoint, _folder["single"], new ConversionOptions { Format = OutputFormat.Torch });
        Assert.Equal(["pytorch_model.bin"], single.WeightFiles.ToArray());
        Assert.Equal(["pytorch_model.bin"], Directory.EnumerateFiles(_folder["single"]).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Metadata_has_no_place_and_is_named()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(
            new SafetensorsBuilder()
                .AddMetadata(new Dictionary<string, string> { ["format"] = "pt", ["license"] = "mit" })
                .Add("a", "U8", [1], [1])
                .ToBytes()));
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.pt"]);
        Assert.Equal(["license"], result.OmittedMetadata.ToArray());
    }

    [Fact]
    public async Task Types_that_PyTorch_has_not_are_refused_with_what_helps()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(GoldenArchive.Read(GgufManifest.Set, "all-types.gguf"), "all-types.gguf"));
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder["out.pt"]));
        Assert.Contains("PyTorch file", exception.Message, StringComparison.Ordinal);
        Assert.Contains("--dtype", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task A_read_that_fails_or_is_cancelled_leaves_nothing()
    {
        var sample = Sample.Make(3, ("a", DType.U8, [900_000]), ("b", DType.U8, [900_000]));
        await using (var failing = await sample.OpenAsync(inner => ThrowingSource.AfterBytes(inner, 1_000_000)))
        {
            await Assert.ThrowsAnyAsync<IOException>(() => CheckpointConverter.ConvertAsync(failing, _folder["out.pt"]));
        }

        using var cancellation = new CancellationTokenSource();
        await using (var cancelled = await sample.OpenAsync(inner => new CancellingSource(inner, cancellation, 5)))
        {
            var options = new ConversionOptions { StagingBytes = 64 << 10 };
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => CheckpointConverter.ConvertAsync(cancelled, _folder["out.pt"], options, null, cancellation.Token));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("out.pt", OutputFormat.Safetensors)]
    [InlineData("out.gguf", OutputFormat.Torch)]
    public async Task A_name_of_another_format_is_refused(string output, OutputFormat format)
    {
        await using var checkpoint = await OpenTiedAsync();
        await Assert.ThrowsAsync<ArgumentException>(
            () => CheckpointConverter.ConvertAsync(checkpoint, _folder[output], new ConversionOptions { Format = format }));
    }

    private static Task<Checkpoint> OpenTiedAsync() => Checkpoint.OpenAsync(new MemorySource(
        new SafetensorsBuilder()
            .AddMetadata(new Dictionary<string, string> { ["ties"] = """{"tail":"embed","head":"embed"}""" })
            .Add("embed", "BF16", [2], [0x80, 0x3f, 0x00, 0xc0])
            .Add("other", "BF16", [2], [0x80, 0x3f, 0x00, 0xc0])
            .ToBytes()));

    // The records data/0, data/1, ... by the framework's reader, which holds their CRC against them.
    private static List<byte[]> StoragesOf(string path)
    {
        using var archive = ZipFile.OpenRead(path);
        var storages = new List<byte[]>();
        while (archive.GetEntry($"archive/data/{storages.Count}") is { } entry)
        {
            using var stream = entry.Open();
            using var output = new MemoryStream();
            stream.CopyTo(output);
            storages.Add(output.ToArray());
        }

        return storages;
    }
}
