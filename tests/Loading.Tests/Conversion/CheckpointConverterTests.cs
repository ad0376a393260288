using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class CheckpointConverterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Every_dtype_that_is_kept_keeps_its_bytes_shape_and_metadata()
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            var sample = Sample.MakeRandom(seed);
            await using var checkpoint = await sample.OpenAsync();
            var output = _folder[$"{seed}.safetensors"];
            var result = await CheckpointConverter.ConvertAsync(checkpoint, output);
            Assert.Equal((sample.Tensors.Count, 0, result.BytesRead), (result.Tensors, result.ConvertedTensors, result.BytesWritten));
            var written = Sample.Of(await File.ReadAllBytesAsync(output));
            Assert.Equal(sample.Tensors.OrderBy(pair => pair.Key), written.Tensors.OrderBy(pair => pair.Key));
            await using var again = await Checkpoint.OpenAsync(output);
            Assert.All(checkpoint.Tensors, tensor => Assert.Equal((tensor.DType, tensor.Shape), (again[tensor.Name].DType, again[tensor.Name].Shape)));
        }
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F64)]
    [InlineData(DType.F8_E4M3)]
    [InlineData(DType.F8_E5M2)]
    [InlineData(DType.F8_E4M3FNUZ)]
    [InlineData(DType.F8_E5M2FNUZ)]
    public async Task Floats_become_what_their_codec_gives_and_the_others_stay(DType dtype)
    {
        // Longer than a slot, so that pieces meet; ends that are no multiple of anything.
        var sample = Sample.Make(
            3,
            ("bf16", DType.BF16, [700_001]),
            ("f32", DType.F32, [3, 200_001]),
            ("f64", DType.F64, [77]),
            ("scalar", DType.F16, []),
            ("empty", DType.BF16, [0, 5]),
            ("i64", DType.I64, [9]),
            ("bool", DType.BOOL, [3]),
            ("c64", DType.C64, [5]));
        await using var checkpoint = await sample.OpenAsync();
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"], new ConversionOptions { DType = dtype, Lanes = 3 });
        await AssertConvertedAsync(sample, checkpoint, _folder["out.safetensors"], dtype);
        Assert.Equal(checkpoint.Tensors.Count(tensor => tensor.DType.Kind == DTypeKind.Float && tensor.DType != dtype), result.ConvertedTensors);
        Assert.Equal(checkpoint.Tensors.Sum(tensor => tensor.ByteLength), result.BytesRead);
        Assert.Equal(new FileInfo(_folder["out.safetensors"]).Length - HeaderBytes(_folder["out.safetensors"]), result.BytesWritten);
    }

    [Fact]
    public async Task Short_reads_small_slots_and_many_lanes_change_nothing()
    {
        var sample = Sample.MakeRandom(99, longest: 60_000);
        foreach (var lanes in (int[])[1, 2, 8])
        {
            await using var checkpoint = await sample.OpenAsync(inner => new ShortReadSource(inner, 5003));
            var options = new ConversionOptions { DType = DType.F32, Lanes = lanes, StagingBytes = 64 << 10, Overwrite = true };
            await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"], options);
            await AssertConvertedAsync(sample, checkpoint, _folder["out.safetensors"], DType.F32);
        }
    }

    [Theory]
    [InlineData(Lateness.Soon)]
    [InlineData(Lateness.WhenWaitedFor)]
    public async Task A_device_that_works_late_gives_the_same_file_and_everything_back(Lateness lateness)
    {
        var sample = Sample.MakeRandom(7, longest: 9000);
        var device = new LateDevice { Lateness = lateness, SlotBytes = 4096 };
        await using var checkpoint = await sample.OpenAsync();
        var options = new ConversionOptions { DType = DType.BF16, Device = device };
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"], options);
        await AssertConvertedAsync(sample, checkpoint, _folder["out.safetensors"], DType.BF16);
        Assert.Empty(device.Violations);
        Assert.Equal((0, 0), (device.LiveAllocations, device.Rented));
    }

    [Fact]
    public async Task A_folder_has_shards_up_to_the_size_an_index_and_the_files_beside_the_weights()
    {
        var sample = Sample.Make(1, ("a", DType.U8, [60]), ("b", DType.U8, [41]), ("c", DType.U8, [59]), ("d", DType.U8, [300]), ("e", DType.U8, [1]));
        var model = _folder["model"];
        _folder.Write("model/weights.safetensors", sample.File);
        foreach (var name in (string[])["config.json", "generation_config.json", "tokenizer.model", "merges.txt", "vocab.json", "chat_template.jinja"])
        {
            _folder.Write($"model/{name}", [1, 2, 3]);
        }

        foreach (var name in (string[])["weights.bin", "notes.md", ".config.json", "modeling.py", "optimizer.pt"])
        {
            _folder.Write($"model/{name}", [4]);
        }

        Directory.CreateDirectory(Path.Combine(model, "onnx"));
        await using var checkpoint = await Checkpoint.OpenAsync(model);
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], new ConversionOptions { MaximumShardBytes = 100 });
        // 60; 41 + 59 = 100; 300 alone; 1.
        Assert.Equal(Enumerable.Range(1, 4).Select(i => $"model-{i:D5}-of-00004.safetensors"), result.WeightFiles);
        string[] expected =
        [
            "chat_template.jinja", "config.json", "generation_config.json", "merges.txt", .. result.WeightFiles, "model.safetensors.index.json",
            "tokenizer.model", "vocab.json",
        ];
        Assert.Equal(expected.Order(StringComparer.Ordinal), Directory.EnumerateFileSystemEntries(_folder["out"]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        Assert.Equal([1, 2, 3], await File.ReadAllBytesAsync(_folder["out/config.json"]));
        using var index = JsonDocument.Parse(await File.ReadAllBytesAsync(_folder["out/model.safetensors.index.json"]));
        Assert.Equal(461, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        Assert.Equal(
            ["a 1", "b 2", "c 2", "d 3", "e 4"],
            index.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => $"{entry.Name} {entry.Value.GetString()![10]}"));
        await using var again = await Checkpoint.OpenAsync(_folder["out"]);
        // The configuration is no JSON, and says so once more; nothing else is odd.
        Assert.All(again.Warnings, warning => Assert.Contains("config.json", warning.ToString(), StringComparison.Ordinal));
        await AssertSameAsync(sample, again);
    }

    [Theory]
    [InlineData(DType.F32, """{"torch_dtype":"bfloat16","x":{"y":"ü"}}""", "float32")]
    [InlineData(DType.F16, """{"dtype":"bfloat16"}""", "float16")]
    [InlineData(DType.BF16, """{"torch_dtype":"float32","dtype":"float32"}""", "bfloat16")]
    [InlineData(DType.BF16, """{"torch_dtype":null}""", null)]
    [InlineData(null, """{"torch_dtype":"float32"}""", "float32")]
    public async Task The_configuration_names_the_dtype_that_the_weights_have_now(DType? dtype, string config, string? expected)
    {
        _folder.Write("model/model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("model/config.json", System.Text.Encoding.UTF8.GetBytes(config));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model"]);
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], new ConversionOptions { DType = dtype });
        using var before = JsonDocument.Parse(config);
        using var after = JsonDocument.Parse(await File.ReadAllBytesAsync(_folder["out/config.json"]));
        Assert.Equal(before.RootElement.EnumerateObject().Select(entry => entry.Name), after.RootElement.EnumerateObject().Select(entry => entry.Name));
        foreach (var entry in after.RootElement.EnumerateObject())
        {
            Assert.True(entry.Name is "torch_dtype" or "dtype"
                ? entry.Value.GetString() == expected
                : JsonElement.DeepEquals(before.RootElement.GetProperty(entry.Name), entry.Value));
        }
    }

    [Theory]
    [InlineData(DType.F8_E4M3, 3, 464f, 465f)]
    [InlineData(DType.F8_E5M2, 3, 61_439f, 61_440f)]
    [InlineData(DType.F8_E4M3FNUZ, 3, 247f, 248f)]
    [InlineData(DType.F8_E5M2FNUZ, 3, 61_439f, 61_440f)]
    [InlineData(DType.F16, 3, 65_519f, 65_520f)]
    [InlineData(DType.BF16, 2, 3.38e38f, 3.4e38f)]
    [InlineData(DType.F32, 0, 3.38e38f, 3.4e38f)]
    public async Task Finite_values_beyond_the_dtype_are_counted(DType dtype, long expected, float largest, float beyond)
    {
        // More than one piece, and more than are compared at a time; infinities and NaN stay what they are and do not count.
        var values = new float[600_000];
        (values[0], values[5000], values[599_999]) = (beyond, -beyond, dtype == DType.BF16 ? 1 : float.MaxValue);
        (values[1], values[2], values[3], values[4], values[5]) =
            (largest, -largest, float.NaN, float.PositiveInfinity, float.NegativeInfinity);
        var bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan());
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(
            new SafetensorsBuilder().Add("fine", "F32", [1], [0, 0, 0, 0]).Add("w", "F32", [(ulong)values.Length], bytes).ToBytes()));
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"], new ConversionOptions { DType = dtype });
        TensorOverflow[] overflows = expected == 0 ? [] : [new TensorOverflow("w", expected)];
        Assert.Equal(overflows, result.Overflows.ToArray());
    }

    [Fact]
    public async Task The_metadata_is_kept_and_the_choice_is_followed()
    {
        var metadata = new Dictionary<string, string> { ["format"] = "pt", ["training"] = "{\"epochs\": 3}" };
        var file = new SafetensorsBuilder().AddMetadata(metadata).Add("a.x", "U8", [1], [1]).Add("a.y", "U8", [1], [2]).Add("b.x", "U8", [1], [3]).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        var result = await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out.safetensors"], new ConversionOptions { Choice = new TensorChoice(["a.*"], ["*.y"]) });
        await using var again = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Equal(["a.x"], again.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(metadata.OrderBy(pair => pair.Key), again.Metadata.Select(pair => KeyValuePair.Create(pair.Key, (string)pair.Value)).OrderBy(pair => pair.Key));
        Assert.Equal((1, 1L), (result.Tensors, result.BytesRead));
    }

    [Theory]
    [InlineData(null, 1000)]
    [InlineData(DType.F32, 1000)]
    [InlineData(DType.F32, 10)]
    public async Task Tied_tensors_are_written_once_and_come_back_tied(DType? dtype, long maximumShardBytes)
    {
        await using var checkpoint = await OpenTiedAsync();
        var result = await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out"], new ConversionOptions { DType = dtype, MaximumShardBytes = maximumShardBytes });
        Assert.Equal((2, 2), (result.Tensors, result.Ties));
        await using var again = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Empty(again.Warnings);
        Assert.Equal(["embed", "head", "tail", "other"], again.Tensors.Select(tensor => tensor.Name).OrderBy(name => Array.IndexOf(["embed", "head", "tail", "other"], name)));
        Assert.DoesNotContain("ties", again.Metadata.Keys);
        await using var model = await new CheckpointLoader().LoadAsync(new CheckpointLoader().Plan(again));
        Assert.Same(model["embed"].Memory, model["head"].Memory);
        Assert.Same(model["embed"].Memory, model["tail"].Memory);
        Assert.NotSame(model["embed"].Memory, model["other"].Memory);
        Assert.Equal(dtype ?? DType.BF16, model["head"].DType);
        Assert.Equal([1f, -2f], model["head"].To(DType.F32).AsSpan<float>().ToArray());
    }

    // An entry that is only partly understood stays visible in the metadata of what is read, and must not come along.
    [Theory]
    [InlineData("a", false)]
    [InlineData("none", true)]
    public async Task Ties_that_are_not_in_the_plan_are_not_copied(string exclude, bool isTied)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(
            new SafetensorsBuilder()
                .AddMetadata(new Dictionary<string, string> { ["ties"] = """{"a":"w","b":5}""" })
                .Add("w", "U8", [1], [1])
                .ToBytes()));
        Assert.Contains("ties", checkpoint.Metadata.Keys);
        await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out.safetensors"], new ConversionOptions { Choice = new TensorChoice([], [exclude]) });
        await using var again = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Empty(again.Warnings);
        Assert.Equal(isTied ? ["w", "a"] : ["w"], again.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Duplicated_ties_are_tensors_of_their_own()
    {
        await using var checkpoint = await OpenTiedAsync();
        var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], new ConversionOptions { DuplicateTies = true });
        Assert.Equal((4, 0, 16L), (result.Tensors, result.Ties, result.BytesWritten));
        await using var again = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.All(again.Tensors, tensor => Assert.Null(tensor.TiedTo));
        Assert.Equal(4, again.Tensors.Select(tensor => tensor.Offset).Distinct().Count());
    }

    [Fact]
    public async Task An_alias_without_the_tensor_that_it_is_tied_to_is_written_itself()
    {
        await using var checkpoint = await OpenTiedAsync();
        var result = await CheckpointConverter.ConvertAsync(
            checkpoint, _folder["out.safetensors"], new ConversionOptions { Choice = new TensorChoice([], ["embed"]) });
        Assert.Equal((2, 1), (result.Tensors, result.Ties));
        await using var again = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Equal((null, "head"), (again["head"].TiedTo, again["tail"].TiedTo));
    }

    [Fact]
    public async Task No_tensor_at_all_gives_an_empty_file()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.Tiny()));
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["out"], new ConversionOptions { Choice = new TensorChoice(["none"], []) });
        await using var again = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Empty(again.Tensors);
    }

    [Fact]
    public async Task A_checkpoint_may_replace_itself()
    {
        var sample = Sample.Make(8, ("a", DType.BF16, [100_000]), ("b", DType.BF16, [7]));
        var path = _folder.Write("model.safetensors", sample.File);
        await using (var checkpoint = await Checkpoint.OpenAsync(path))
        {
            await CheckpointConverter.ConvertAsync(checkpoint, path, new ConversionOptions { DType = DType.F32, Overwrite = true });
            await AssertConvertedAsync(sample, checkpoint, path, DType.F32);
        }

        Assert.Equal([path], Directory.EnumerateFileSystemEntries(_folder.Path));
        _folder.Write("folder/model.safetensors", sample.File);
        await using (var checkpoint = await Checkpoint.OpenAsync(_folder["folder"]))
        {
            await CheckpointConverter.ConvertAsync(checkpoint, _folder["folder"], new ConversionOptions { DType = DType.F32, Overwrite = true });
            await AssertConvertedAsync(sample, checkpoint, _folder["folder/model.safetensors"], DType.F32);
        }
    }

    [Theory]
    [InlineData("there.safetensors", false)]
    [InlineData("there", false)]
    [InlineData("none/out.safetensors", true)]
    public async Task An_output_that_is_there_or_cannot_be_is_refused_untouched(string name, bool allowed)
    {
        var there = _folder.Write("there.safetensors", [1]);
        var inFolder = _folder.Write("there/model.safetensors", [2]);
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.Tiny()));
        var error = await Assert.ThrowsAnyAsync<IOException>(
            () => CheckpointConverter.ConvertAsync(checkpoint, _folder[name], new ConversionOptions { Overwrite = allowed }));
        Assert.StartsWith(_folder[name], error.Message, StringComparison.Ordinal);
        Assert.Equal([1], await File.ReadAllBytesAsync(there));
        Assert.Equal([2], await File.ReadAllBytesAsync(inFolder));
        Assert.Equal(2, Directory.EnumerateFileSystemEntries(_folder.Path).Count());
    }

    [Fact]
    public async Task Options_out_of_range_are_refused_before_anything_is_written()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.Tiny()));
        ConversionOptions[] refused =
        [
            new() { MaximumShardBytes = 0 },
            new() { MaximumShardBytes = 3 },
            new() { StagingBytes = 1000 },
            new() { Lanes = 0 },
            new() { DType = DType.U8 },
            new() { DType = DType.Q4_K },
            new() { Device = MetaDevice.Shared },
            new() { Device = new LateGroup().Device },
        ];
        foreach (var options in refused)
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(() => CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"], options));
            Assert.Equal("options", error.ParamName);
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Progress_grows_to_the_whole()
    {
        var sample = Sample.Make(8, ("a", DType.BF16, [2_000_000]), ("b", DType.BF16, [7]), ("c", DType.U8, [0]));
        await using var checkpoint = await sample.OpenAsync();
        var progress = new RecordedProgress();
        await CheckpointConverter.ConvertAsync(checkpoint, _folder["out.safetensors"], new ConversionOptions { DType = DType.F32 }, progress);
        Assert.All(progress.Reports.Zip(progress.Reports.Skip(1)), pair => Assert.True(pair.Second.BytesRead >= pair.First.BytesRead));
        Assert.Equal(new LoadProgress(4_000_014, 4_000_014, 3, 3), progress.Reports[^1]);
    }

    private static Task<Checkpoint> OpenTiedAsync() => Checkpoint.OpenAsync(new MemorySource(
        new SafetensorsBuilder()
            .AddMetadata(new Dictionary<string, string> { ["ties"] = """{"tail":"embed","head":"embed"}""" })
            .Add("embed", "BF16", [2], [0x80, 0x3f, 0x00, 0xc0])
            .Add("other", "BF16", [2], [0x80, 0x3f, 0x00, 0xc0])
            .ToBytes()));

    private static int HeaderBytes(string path)
    {
        using var file = new BinaryReader(File.OpenRead(path));
        return 8 + (int)file.ReadInt64();
    }

    // The codec's scalar body over the whole tensor is the oracle; its own tests hold it against formulas.
    private static async Task AssertConvertedAsync(Sample sample, Checkpoint source, string path, DType dtype)
    {
        var written = Sample.Of(await File.ReadAllBytesAsync(path));
        await using var output = await Checkpoint.OpenAsync(path);
        Assert.NotEmpty(output.Tensors);
        foreach (var tensor in output.Tensors)
        {
            var stored = source[tensor.Name];
            var target = stored.DType.Kind == DTypeKind.Float ? dtype : stored.DType;
            Assert.Equal((target, stored.Shape), (tensor.DType, tensor.Shape));
            Assert.True(sample.Expected(new PlannedTensor(stored, target, stored.Shape)).AsSpan().SequenceEqual(written.Tensors[tensor.Name]), tensor.Name);
        }
    }

    private static async Task AssertSameAsync(Sample sample, Checkpoint checkpoint)
    {
        await using var model = await new CheckpointLoader().LoadAsync(new CheckpointLoader().Plan(checkpoint));
        Assert.Equal(sample.Tensors.Count, model.Count);
        Assert.All(model, tensor => Assert.True(sample.Tensors[tensor.Name].AsSpan().SequenceEqual(tensor.Tensor.AsSpan<byte>()), tensor.Name));
    }
}
