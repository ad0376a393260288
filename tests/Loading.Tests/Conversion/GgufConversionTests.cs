using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Conversions from and to GGUF, held against files that ggml's own writers made and the values that ggml gives.</summary>
public sealed class GgufConversionTests : IDisposable
{
    private const string AllTypes = "all-types.gguf";

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Files => [.. GgufManifest.FileNames];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Files))]
    public async Task What_is_kept_is_the_same_file_or_has_the_same_content(string name)
    {
        var golden = GoldenArchive.Read(GgufManifest.Set, name);
        await using var checkpoint = await Checkpoint.OpenAsync(new ShortReadSource(new MemorySource(golden, name), 701));
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.gguf"], new ConversionOptions { Lanes = 2 });
        Assert.Equal((OutputFormat.Gguf, 0, checkpoint.Tensors.Length), (result.Format, result.ConvertedTensors, result.Tensors));
        Assert.Equal(["out.gguf"], result.WeightFiles.ToArray());
        var header = (GgufHeader)checkpoint.Files[0].Header!;
        if (header is { Version: 3, IsBigEndian: false })
        {
            Assert.Equal(golden, await File.ReadAllBytesAsync(_folder["out.gguf"]));
        }

        await using var again = await Checkpoint.OpenAsync(_folder["out.gguf"]);
        var written = (GgufHeader)again.Files[0].Header!;
        Assert.Equal((3, false, header.Alignment), (written.Version, written.IsBigEndian, written.Alignment));
        Assert.Equal(header.Keys.ToArray(), written.Keys.ToArray());
        Assert.All(header.Keys, key => Assert.Equal(header.Metadata[key], written.Metadata[key]));
        await AssertSameTensorsAsync(checkpoint, again);
    }

    // Every type that gguf-py can write is in it.
    [Theory]
    [InlineData("out.gguf", DType.F32)]
    [InlineData("out.gguf", DType.F16)]
    [InlineData("out.gguf", DType.BF16)]
    [InlineData("out.safetensors", DType.F32)]
    [InlineData("out.safetensors", DType.F16)]
    [InlineData("out.safetensors", DType.F8_E4M3)]
    public async Task Blocks_and_floats_become_what_their_codec_gives(string output, DType dtype)
    {
        await using var checkpoint = await OpenAsync(AllTypes);
        var options = new ConversionOptions { DType = dtype, Lanes = 3, StagingBytes = 192 << 10 };
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder[output], options);
        await using var again = await Checkpoint.OpenAsync(_folder[output]);
        Assert.Equal(checkpoint.Tensors.Length, again.Tensors.Length);
        Assert.Equal(again.Tensors.Count(tensor => checkpoint[tensor.Name].DType != tensor.DType), result.ConvertedTensors);
        Assert.Contains(again.Tensors, tensor => checkpoint[tensor.Name].DType.IsBlock);
        foreach (var tensor in again.Tensors)
        {
            var stored = checkpoint[tensor.Name];
            Assert.Equal((stored.DType.HoldsFloats ? dtype : stored.DType, stored.Shape), (tensor.DType, tensor.Shape));
            var expected = await BytesAsync(stored);
            if (tensor.DType != stored.DType)
            {
                var values = new byte[tensor.ByteLength];
                Codecs.Of(stored.DType).DecodeScalar(expected, values, dtype);
                expected = values;
            }

            AssertEqual(expected, await BytesAsync(tensor), tensor.Name);
        }
    }

    [Theory]
    [InlineData("out.gguf")]
    [InlineData("out.safetensors")]
    public async Task Values_as_float32_are_those_of_ggml_and_those_that_are_hashed(string output)
    {
        await using var checkpoint = await OpenAsync(AllTypes);
        await CheckpointConverter.ConvertAsync(checkpoint, _folder[output], new ConversionOptions { DType = DType.F32 });
        await using var again = await Checkpoint.OpenAsync(_folder[output]);
        foreach (var tensor in again.Tensors.Where(tensor => tensor.Name.EndsWith(".quant", StringComparison.Ordinal)))
        {
            var ggml = NpyFile.Golden(GgufManifest.Set, GgufManifest.File(AllTypes).Tensors[tensor.Name].Expected).Data;
            AssertEqual(ggml.ToArray(), await BytesAsync(tensor), tensor.Name);
        }

        var before = await TensorHasher.HashValuesAsync(checkpoint, HostDevice.Shared);
        var after = await TensorHasher.HashValuesAsync(again, HostDevice.Shared);
        Assert.Equal(Lines(before), Lines(after));

        static IEnumerable<string> Lines(IEnumerable<TensorHash> hashes) =>
            hashes.Select(hash => $"{hash.Tensor.Name} {hash.Sha256}").Order(StringComparer.Ordinal);
    }

    [Theory]
    [InlineData(null, 15u)]
    [InlineData(DType.F32, 0u)]
    [InlineData(DType.F16, 1u)]
    [InlineData(DType.BF16, 32u)]
    [InlineData(DType.F64, null)]
    public async Task The_type_that_most_tensors_have_is_named_anew_where_they_are_converted(DType? dtype, uint? fileType)
    {
        var file = new GgufBuilder().Add("general.file_type", 15u).Add("x", 1u).Tensor("t", 12, [256], new byte[DType.Q4_K.BlockSize]).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["new.gguf"], new ConversionOptions { DType = dtype });
        await using var converted = await Checkpoint.OpenAsync(_folder["new.gguf"]);
        Assert.Equal(fileType, (uint?)converted.Metadata.GetValueOrDefault("general.file_type"));
        Assert.Equal(1u, converted.Metadata["x"]);
    }

    [Fact]
    public async Task A_model_that_is_split_has_numbered_parts_and_becomes_the_same_file_again()
    {
        var golden = GoldenArchive.Read(GgufManifest.Set, "align64.gguf");
        await using var checkpoint = await OpenAsync("align64.gguf");
        var largest = checkpoint.Tensors.Max(tensor => tensor.ByteLength);
        var split = await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["parts"], new ConversionOptions { Format = OutputFormat.Gguf, MaximumShardBytes = largest });
        var count = split.WeightFiles.Length;
        Assert.InRange(count, 2, checkpoint.Tensors.Length);
        Assert.Equal(Enumerable.Range(1, count).Select(part => $"model-{part:D5}-of-{count:D5}.gguf"), split.WeightFiles);
        Assert.Equal(
            split.WeightFiles, Directory.EnumerateFileSystemEntries(_folder["parts"]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        var source = (GgufHeader)checkpoint.Files[0].Header!;
        for (var part = 0; part < count; part++)
        {
            await using var one = await Checkpoint.OpenAsync(new MemorySource(await File.ReadAllBytesAsync(_folder[$"parts/{split.WeightFiles[part]}"])));
            var header = (GgufHeader)one.Files[0].Header!;
            string[] own = part == 0 ? [.. source.Keys] : ["general.alignment"];
            Assert.Equal([.. own, "split.no", "split.count", "split.tensors.count"], header.Keys.ToArray());
            Assert.Equal((ushort)part, header.Metadata["split.no"]);
            Assert.Equal((ushort)count, header.Metadata["split.count"]);
            Assert.Equal(checkpoint.Tensors.Length, header.Metadata["split.tensors.count"]);
            Assert.Equal(64, header.Alignment);
        }

        await using var parts = await Checkpoint.OpenAsync(_folder["parts"]);
        await AssertSameTensorsAsync(checkpoint, parts);
        // Split once more the numbers are new ones, and whole there are none.
        var again = await CheckpointConverter.ConvertAsync(
            parts, _folder["again"], new ConversionOptions { Format = OutputFormat.Gguf, MaximumShardBytes = 1 });
        Assert.Equal(checkpoint.Tensors.Length, again.WeightFiles.Length);
        await CheckpointConverter.ConvertAsync(parts, _folder["whole.gguf"]);
        Assert.Equal(golden, await File.ReadAllBytesAsync(_folder["whole.gguf"]));
        await CheckpointConverter.ConvertAsync(parts, _folder["one"], new ConversionOptions { Format = OutputFormat.Gguf });
        Assert.Equal([_folder["one/model.gguf"]], Directory.EnumerateFileSystemEntries(_folder["one"]));
        Assert.Equal(golden, await File.ReadAllBytesAsync(_folder["one/model.gguf"]));
    }

    [Fact]
    public async Task Blocks_that_stay_blocks_have_no_place_in_safetensors()
    {
        await using var checkpoint = await OpenAsync(AllTypes);
        var error = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"]));
        var blocks = checkpoint.Tensors.Where(tensor => tensor.DType.IsBlock).ToArray();
        Assert.Contains(
            $"{blocks.Length} tensors cannot be written to a safetensors file by this version: '{blocks[0].Name}' ({blocks[0].DType}), ", error.Message, StringComparison.Ordinal);
        Assert.Contains($" and {blocks.Length - 5} more; choose a --dtype", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Metadata_becomes_text_in_safetensors_and_arrays_are_named_as_left_out()
    {
        await WriteGgufAsync(
            "in.gguf",
            ("text", "é"), ("empty", ""), ("nul", "a\0"), ("truth", true), ("byte", (byte)255), ("negative", long.MinValue), ("float", 0.1f), ("double", -1e300),
            ("nan", float.NaN), ("array", GgufArray.Create<int>(1, 2)), ("ties", "{}"), ("general.alignment", 64u), ("split.no", (ushort)0), ("split.count", (ushort)1));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["in.gguf"]);
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"]);
        Assert.Equal(["nul", "array", "ties"], result.OmittedMetadata.ToArray());
        await using var again = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Empty(again.Warnings);
        Assert.Equal(
            new Dictionary<string, object>
            {
                ["text"] = "é",
                ["empty"] = "",
                ["truth"] = "true",
                ["byte"] = "255",
                ["negative"] = "-9223372036854775808",
                ["float"] = "0.1",
                ["double"] = "-1E+300",
                ["nan"] = "NaN",
            }.OrderBy(entry => entry.Key),
            again.Metadata.OrderBy(entry => entry.Key));
    }

    [Fact]
    public async Task Text_of_safetensors_becomes_strings_without_what_described_the_file()
    {
        var metadata = new Dictionary<string, string>
        {
            ["format"] = "pt",
            ["general.architecture"] = "llama",
            ["general.alignment"] = "64",
            ["split.count"] = "2",
            ["ties"] = "not understood",
            [""] = "no key",
            ["text"] = "",
        };
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(
            new SafetensorsBuilder().AddMetadata(metadata).Add("b", "I64", [1], new byte[8]).Add("a", "F64", [], new byte[8]).ToBytes()));
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.gguf"]);
        Assert.Equal(["", "general.alignment", "split.count", "ties"], result.OmittedMetadata.Order(StringComparer.Ordinal));
        await using var again = await Checkpoint.OpenAsync(_folder["out.gguf"]);
        Assert.Equal(
            new Dictionary<string, object> { ["format"] = "pt", ["general.architecture"] = "llama", ["text"] = "" }.OrderBy(entry => entry.Key),
            again.Metadata.OrderBy(entry => entry.Key));
        Assert.Equal(["b I64 [1]", "a F64 []"], again.Tensors.Select(tensor => tensor.ToString()));
    }

    [Fact]
    public async Task What_describes_the_files_that_were_read_is_not_counted_as_left_out()
    {
        await WriteGgufAsync("in.gguf", ("general.alignment", 64u), ("general.file_type", 15u), ("split.no", (ushort)0), ("split.count", (ushort)1));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["in.gguf"]);
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.gguf"], new ConversionOptions { DType = DType.F64 });
        Assert.Empty(result.OmittedMetadata);
        await using var again = await Checkpoint.OpenAsync(_folder["out.gguf"]);
        Assert.Equal(["general.alignment"], again.Metadata.Keys);
    }

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 0)]
    public async Task Ties_are_written_in_full_and_counted_unless_that_was_asked_for(bool duplicateTies, int duplicated)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(
            new SafetensorsBuilder()
                .AddMetadata(new Dictionary<string, string> { ["ties"] = """{"tail":"embed","head":"embed"}""" })
                .Add("embed", "BF16", [2], [0x80, 0x3f, 0x00, 0xc0])
                .ToBytes()));
        var result = await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out.gguf"], new ConversionOptions { DType = DType.F32, DuplicateTies = duplicateTies });
        Assert.Equal((3, 0, duplicated, duplicated * 8L, 24L), (result.Tensors, result.Ties, result.DuplicatedTensors, result.DuplicatedBytes, result.BytesWritten));
        await using var again = await Checkpoint.OpenAsync(_folder["out.gguf"]);
        Assert.Empty(again.Metadata);
        Assert.Equal(["embed", "head", "tail"], again.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        foreach (var tensor in again.Tensors)
        {
            Assert.Equal([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], await BytesAsync(tensor));
        }
    }

    [Theory]
    [InlineData("F8_E4M3", new long[] { 4 }, "t", null, "'t' (F8_E4M3); choose a --dtype")]
    [InlineData("F32", new long[] { 4 }, "t", DType.F8_E5M2, "'t' (F8_E5M2); choose another --dtype")]
    [InlineData("BOOL", new long[] { 4 }, "t", null, "'t' (BOOL); leave them out with --exclude.")]
    [InlineData("F32", new long[] { 1, 1, 2, 1, 1 }, "t", null, "'t' (5 dimensions, and GGUF has 4 at most); leave them out")]
    [InlineData("F32", new long[] { 1 }, "", null, "'' (a name that GGUF does not allow)")]
    [InlineData("F32", new long[] { 1 }, "model.layers.10.self_attention.query_key_value_projection.weight", null, "(a name of 64 bytes, and GGUF has 63 at most)")]
    public async Task What_gguf_cannot_hold_is_named_with_the_reason(string stored, long[] shape, string name, DType? dtype, string expected)
    {
        await using var checkpoint = await Sample.Make(1, (name, Enum.Parse<DType>(stored), shape), ("fine", DType.I32, [1])).OpenAsync();
        var error = await Assert.ThrowsAsync<UnsupportedCheckpointException>(
            () => CheckpointConverter.ConvertAsync(checkpoint, _folder["out.gguf"], new ConversionOptions { DType = dtype }));
        Assert.Contains("one tensor cannot be written to a GGUF file", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("out.gguf", null, OutputFormat.Gguf)]
    [InlineData("out.GGUF", OutputFormat.Gguf, OutputFormat.Gguf)]
    [InlineData("out.safetensors", OutputFormat.Safetensors, OutputFormat.Safetensors)]
    [InlineData("out", null, OutputFormat.Safetensors)]
    [InlineData("out", OutputFormat.Gguf, OutputFormat.Gguf)]
    [InlineData("out", OutputFormat.Safetensors, OutputFormat.Safetensors)]
    [InlineData("folder.gguf", null, OutputFormat.Safetensors)]
    [InlineData("folder.safetensors", OutputFormat.Gguf, OutputFormat.Gguf)]
    [InlineData("out.gguf", OutputFormat.Safetensors, null)]
    [InlineData("out.safetensors", OutputFormat.Gguf, null)]
    public async Task The_name_of_a_file_and_the_option_for_a_folder_choose_the_format(string output, OutputFormat? asked, OutputFormat? expected)
    {
        Directory.CreateDirectory(_folder["folder.gguf"]);
        Directory.CreateDirectory(_folder["folder.safetensors"]);
        await using var checkpoint = await Sample.Make(1, ("t", DType.I32, [3])).OpenAsync();
        var options = new ConversionOptions { Format = asked, Overwrite = true };
        if (expected is null)
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder[output], options));
            Assert.Equal("options", error.ParamName);
            Assert.Equal(2, Directory.EnumerateFileSystemEntries(_folder.Path).Count());
            return;
        }

        Assert.Equal(expected, (await CheckpointConverter.ConvertAsync(checkpoint, _folder[output], options)).Format);
        await using var again = await Checkpoint.OpenAsync(_folder[output]);
        Assert.Equal(expected == OutputFormat.Gguf ? "gguf" : "safetensors", again.Format);
        await AssertSameTensorsAsync(checkpoint, again);
    }

    [Fact]
    public async Task More_parts_than_gguf_counts_are_refused()
    {
        await using var checkpoint = await Sample.Make(1, Enumerable.Range(0, 65_536).Select(i => ($"{i}", DType.I8, new long[] { 1 }))).OpenAsync();
        var options = new ConversionOptions { Format = OutputFormat.Gguf, MaximumShardBytes = 1 };
        var error = await Assert.ThrowsAsync<ArgumentException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], options));
        Assert.Contains("65536 shards, and GGUF has 65535 at most", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task A_folder_of_gguf_carries_the_files_beside_the_weights_and_has_no_index()
    {
        _folder.Write("model/model.safetensors", Sample.Make(1, ("a", DType.F32, [3]), ("b", DType.F32, [3])).File);
        _folder.Write("model/tokenizer.json", "{}");
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model"]);
        var result = await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out"], new ConversionOptions { Format = OutputFormat.Gguf, MaximumShardBytes = 12 });
        Assert.Equal(["tokenizer.json"], result.CarriedFiles.ToArray());
        string[] expected = ["model-00001-of-00002.gguf", "model-00002-of-00002.gguf", "tokenizer.json"];
        var names = Directory.EnumerateFileSystemEntries(_folder["out"]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(expected, names);
        Assert.All(names, name => Assert.True(CheckpointConverter.MayReplace(name)));
    }

    private static Task<Checkpoint> OpenAsync(string name) => Checkpoint.OpenAsync(new MemorySource(GoldenArchive.Read(GgufManifest.Set, name), name));

    private static async Task AssertSameTensorsAsync(Checkpoint expected, Checkpoint actual)
    {
        Assert.Equal(
            expected.Tensors.Select(tensor => tensor.ToString()).Order(StringComparer.Ordinal),
            actual.Tensors.Select(tensor => tensor.ToString()).Order(StringComparer.Ordinal));
        foreach (var tensor in expected.Tensors)
        {
            AssertEqual(await BytesAsync(tensor), await BytesAsync(actual[tensor.Name]), tensor.Name);
        }
    }

    // By spans: what differs in megabytes is not to be printed.
    private static void AssertEqual(byte[] expected, byte[] actual, string tensor) => Assert.True(expected.AsSpan().SequenceEqual(actual), tensor);

    private static async Task<byte[]> BytesAsync(TensorInfo tensor)
    {
        var bytes = new byte[tensor.ByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, bytes);
        return bytes;
    }

    private async Task WriteGgufAsync(string name, params (string Key, object Value)[] metadata)
    {
        await using var writer = await GgufWriter.CreateAsync(
            _folder[name], [], metadata.Select(entry => KeyValuePair.Create(entry.Key, entry.Value)));
        await writer.CommitAsync();
    }
}
