using System.Collections.Concurrent;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Tensor subclasses of torchao, from files as its <c>flatten_tensor_state_dict</c> makes them.</summary>
public sealed class TorchAOWeightsTests
{
    private const string Float8 =
        """{"_type":"Float8Tensor","_data":{"block_size":[1,32],"dtype":{"_type":"torch.dtype","_data":"bfloat16"}},"_tensor_data_names":["qdata","scale"]}""";

    private static readonly Dictionary<string, string> Metadata = new()
    {
        ["tensor_names"] = """["m.0.weight","m.0.bias","m.1.weight"]""",
        ["m.0.weight"] = Float8,
        ["m.0.bias"] = """{"_type":"Tensor"}""",
        ["m.1.weight"] = """{"_type":"Int4Tensor","_data":{"block_size":[1,8]},"_tensor_data_names":["qdata","scale","zero_point"]}""",
    };

    private readonly HostDevice _device = new();
    private readonly RecordedWarnings _warnings = new();

    [Fact]
    public async Task Read_OneFile_PutsSubclassesTogetherAndPassesPlainTensors()
    {
        var file = File(Metadata, All());
        var weights = await TakeAsync(file);
        Assert.Equal(["m.0.bias", "m.0.weight", "m.1.weight"], weights.Select(weight => weight.Name).Order());
        var plain = weights.Single(weight => weight.Name == "m.0.bias");
        Assert.Null(plain.Components);
        Assert.Equal(Data("m.0.bias"), plain.Tensor.AsSpan<byte>().ToArray());
        AssertFloat8(weights.Single(weight => weight.Name == "m.0.weight"));
        var components = weights.Single(weight => weight.Name == "m.1.weight").Components!;
        Assert.Equal("Int4Tensor", components.Kind);
        Assert.Equal(["qdata", "scale", "zero_point"], components.Tensors.Keys.Order());
        Assert.Equal(Data("m.1._weight_zero_point"), components.Tensors["zero_point"].AsSpan<byte>().ToArray());
        Free(weights);
    }

    [Fact]
    public async Task Read_PartsInSeveralFiles_AreCarriedOnToTheLast()
    {
        // Parts of one weight lie in all three, of another in the first and the third.
        string[][] keys =
        [
            ["m.0._weight_scale", "m.1._weight_scale"], ["m.0.bias", "m.1._weight_qdata"], ["m.1._weight_zero_point", "m.0._weight_qdata"],
        ];
        for (var taken = 1; taken <= 3; taken++)
        {
            var kept = new List<Weight>();
            await foreach (var weight in Read([.. keys.Select(parts => File(Metadata, parts))]))
            {
                kept.Add(weight);
                if (kept.Count == taken)
                {
                    break;
                }
            }

            Assert.Equal("m.0.bias", kept[0].Name);
            Assert.Equal(kept.Sum(weight => weight.Components?.Tensors.Count ?? 1), _device.LiveAllocations);
            if (taken == 3)
            {
                AssertFloat8(kept.Single(weight => weight.Name == "m.0.weight"));
                Assert.Equal(Data("m.1._weight_scale"), kept.Single(weight => weight.Name == "m.1.weight").Components!.Tensors["scale"].AsSpan<byte>().ToArray());
            }

            Free(kept);
        }
    }

    [Fact]
    public async Task Read_ALeftoverAndThePartOfTheNextFile_TheLeftoverCounts()
    {
        var metadata = Only("m.0.weight");
        var (first, second) = (File(metadata, "m.0._weight_qdata"), File(metadata, seed: 50, "m.0._weight_qdata", "m.0._weight_scale"));
        var weight = Assert.Single(await TakeAsync(first, second));
        Assert.Equal(Data("m.0._weight_qdata"), weight.Components!.Tensors["qdata"].AsSpan<byte>().ToArray());
        Assert.Equal(Data("m.0._weight_scale", 50), weight.Components.Tensors["scale"].AsSpan<byte>().ToArray());
        Assert.NotEqual(Data("m.0._weight_qdata"), Data("m.0._weight_qdata", 50));
        var warning = Assert.Single(_warnings.Texts);
        Assert.StartsWith("2.safetensors: 'm.0._weight_qdata' is not read, since the one of '1.safetensors'", warning, StringComparison.Ordinal);
        Free([weight]);
    }

    [Fact]
    public async Task Read_PartsAreLeftAtTheEnd_AreNamedBeforeAWeightIsGiven()
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => TakeAsync(File(Metadata, "m.0.bias", "m.0._weight_qdata"), File(Metadata, "m.1._weight_qdata", "m.1._weight_scale")));
        Assert.Equal(CheckpointErrorCode.MetadataInvalid, exception.Code);
        Assert.Contains(
            "3 tensors are left over when all files are through: 'm.1._weight_qdata' of '2.safetensors', which is part of 'm.1.weight' and waits for 'm.1._weight_zero_point'; "
            + "'m.1._weight_scale' of '2.safetensors', which is part of 'm.1.weight' and waits for 'm.1._weight_zero_point'; "
            + "'m.0._weight_qdata' of '1.safetensors', which is part of 'm.0.weight' and waits for 'm.0._weight_scale'",
            exception.Message,
            StringComparison.Ordinal);
        Assert.Equal(0, _device.LiveAllocations);
    }

    [Fact]
    public async Task Read_ATensorThatIsNotListed_IsLeftOver()
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => TakeAsync(File(Metadata, [.. All(), "m.2.weight"])));
        Assert.Contains("1 tensors are left over when all files are through: 'm.2.weight' of '1.safetensors', which is part of no tensor", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tensor_names", null, "has no entry 'tensor_names'")]
    [InlineData("tensor_names", "[", "is no JSON")]
    [InlineData("tensor_names", "{}", "is no list of names")]
    [InlineData("tensor_names", "[1]", "is no list of names")]
    [InlineData("m.0.bias", null, "does not say what it is")]
    [InlineData("m.0.bias", "{\"_type\":", "is no JSON")]
    [InlineData("m.0.bias", "[]", "has no '_type'")]
    [InlineData("m.0.bias", "{\"_type\":1}", "has no '_type'")]
    [InlineData("m.0.weight", "{\"_type\":\"Float8Tensor\",\"_data\":{}}", "'_tensor_data_names'")]
    [InlineData("m.0.weight", "{\"_type\":\"Float8Tensor\",\"_data\":{},\"_tensor_data_names\":[1]}", "'_tensor_data_names'")]
    [InlineData("m.0.weight", "{\"_type\":\"Float8Tensor\",\"_tensor_data_names\":[\"qdata\"]}", "'_data'")]
    [InlineData("m.0.weight", "{\"_type\":\"Float8Tensor\",\"_data\":{},\"_tensor_data_names\":[\"scale\"]}", "has no 'qdata'")]
    public async Task Read_MetadataThatBreaksARule_IsAnError(string entry, string? value, string problem)
    {
        var metadata = new Dictionary<string, string>(Metadata);
        metadata.Remove(entry);
        if (value is not null)
        {
            metadata.Add(entry, value);
        }

        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => TakeAsync(File(metadata, All())));
        Assert.Equal(CheckpointErrorCode.MetadataInvalid, exception.Code);
        Assert.StartsWith("1.safetensors: ", exception.Message, StringComparison.Ordinal);
        Assert.Contains(problem, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_AClassThatIsNotKnown_IsAnErrorThatListsThem()
    {
        var metadata = new Dictionary<string, string>(Metadata) { ["m.0.weight"] = Float8.Replace("Float8Tensor", "AffineQuantizedTensor", StringComparison.Ordinal) };
        var exception = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => TakeAsync(File(metadata, All())));
        Assert.Contains("'m.0.weight': it is a 'AffineQuantizedTensor', and only Float8Tensor, Int4Tensor,", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_NamesThatBeginAlike_AreToldApart()
    {
        // For torchao the parts of m.w_x begin as those of m.w do.
        var metadata = new Dictionary<string, string> { ["tensor_names"] = """["m.w","m.w_x"]""", ["m.w"] = Float8, ["m.w_x"] = Float8 };
        var weights = await TakeAsync(File(metadata, "m._w_qdata", "m._w_scale", "m._w_x_qdata", "m._w_x_scale"));
        Assert.Equal(["m.w", "m.w_x"], weights.Select(weight => weight.Name).Order());
        Free(weights);
    }

    [Fact]
    public async Task Read_APartOfTwoTensors_IsAnError()
    {
        var metadata = new Dictionary<string, string>
        {
            ["tensor_names"] = """["m.w","m.w_x"]""",
            ["m.w"] = """{"_type":"Float8Tensor","_data":{},"_tensor_data_names":["qdata","x_qdata"]}""",
            ["m.w_x"] = """{"_type":"Float8Tensor","_data":{},"_tensor_data_names":["qdata"]}""",
        };
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => TakeAsync(File(metadata, "m._w_qdata", "m._w_x_qdata")));
        Assert.Contains("its part 'm._w_x_qdata' is also one of 'm.w'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_ADTypeAndNames_ConcernPlainTensorsAndWholeWeights()
    {
        var load = new LoadOptions { Device = _device, DType = DType.F16, Include = ["m.0.*"] };
        var weights = await Iterators.TakeAsync(Read([File(Metadata, All())], load));
        Assert.Equal([("m.0.bias", DType.F16), ("m.0.weight", DType.F8_E4M3)], weights.OrderBy(weight => weight.Name).Select(weight => (weight.Name, weight.DType)));
        Assert.Equal(DType.F32, weights.Single(weight => weight.Name == "m.0.weight").Components!.Tensors["scale"].DType);
        Free(weights);
    }

    [Fact]
    public async Task Read_Progress_CountsTensorsOfTheFiles()
    {
        var progress = new RecordedProgress();
        var weights = await Iterators.TakeAsync(Read([File(Metadata, All())], progress: progress));
        Assert.Equal(new LoadProgress(0, 6 * 16, 0, 6), progress.Reports[0]);
        Assert.Equal(new LoadProgress(6 * 16, 6 * 16, 6, 6), progress.Reports[^1]);
        Free(weights);
    }

    [Fact]
    public async Task Read_ADiskThatFailsWhilePartsWait_FreesThem()
    {
        var sources = new ConcurrentBag<ArmedSource>();
        byte[][] files = [File(Metadata, "m.0._weight_scale", "m.1._weight_scale"), File(Metadata, "m.0.bias", "m.1._weight_qdata", "m.1._weight_zero_point", "m.0._weight_qdata")];
        var options = new SafetensorsWeightsOptions
        {
            Strategy = LoadStrategy.TorchAO,
            Load = new LoadOptions { Device = _device },
            Open = (file, _) =>
            {
                var source = new ArmedSource(
                    new MemorySource(files[file[0] - '1'], file), at: null, _ => file[0] == '2' ? throw new IOException(ThrowingSource.Message) : Task.CompletedTask);
                sources.Add(source);
                return source;
            },
        };
        await Assert.ThrowsAsync<IOException>(() => Iterators.TakeAsync(new SafetensorsWeights(["1.safetensors", "2.safetensors"], options).ReadAsync(new Arming(sources))));
        Assert.Equal(0, _device.LiveAllocations);
        Assert.All(sources, source => Assert.Equal(1, source.Disposals));
    }

    [Fact]
    public async Task Weight_OfComponents_IsNeitherNarrowedNorCopied()
    {
        using var weight = (await TakeAsync(File(Only("m.0.weight"), "m.0._weight_qdata", "m.0._weight_scale"))).Single();
        using var destination = Tensor.Empty(weight.DType, weight.Shape, _device);
        Action[] uses =
        [
            () => weight.CopyTo(destination), () => weight.Narrow(0, 0, 1), () => weight.Select(0, 0), () => weight.Transpose(0, 1), () => weight.View(16), () => weight.Materialize(),
        ];
        foreach (var use in uses)
        {
            var exception = Assert.Throws<InvalidOperationException>(use);
            Assert.Contains("'m.0.weight' is a Float8Tensor of 'qdata', 'scale'", exception.Message, StringComparison.Ordinal);
        }

        weight.Dispose();
        Assert.Equal(1, _device.LiveAllocations);
    }

    private static string[] All() =>
        ["m.0.bias", "m.0._weight_qdata", "m.0._weight_scale", "m.1._weight_qdata", "m.1._weight_scale", "m.1._weight_zero_point"];

    private static Dictionary<string, string> Only(string name) => new() { ["tensor_names"] = JsonSerializer.Serialize(new[] { name }), [name] = Metadata[name] };

    private static byte[] Data(string key, int seed = 1)
    {
        var bytes = new byte[16];
        new Random(seed + key.Sum(letter => letter * 31) + key.Length).NextBytes(bytes);
        return bytes;
    }

    private static byte[] File(Dictionary<string, string> metadata, params string[] keys) => File(metadata, 1, keys);

    private static byte[] File(Dictionary<string, string> metadata, int seed, params string[] keys)
    {
        var builder = new SafetensorsBuilder().AddMetadata(metadata);
        foreach (var key in keys)
        {
            var isValues = key.EndsWith("qdata", StringComparison.Ordinal);
            builder.Add(key, isValues ? "F8_E4M3" : "F32", isValues ? [2, 8] : [4], Data(key, seed));
        }

        return builder.ToBytes();
    }

    private void AssertFloat8(Weight weight)
    {
        var components = weight.Components!;
        Assert.Equal(("Float8Tensor", DType.F8_E4M3, new Shape(2, 8)), (components.Kind, weight.DType, weight.Shape));
        Assert.Equal(Data("m.0._weight_qdata"), components.Tensors["qdata"].AsSpan<byte>().ToArray());
        Assert.Equal(Data("m.0._weight_scale"), components.Tensors["scale"].AsSpan<byte>().ToArray());
        Assert.Equal(["block_size", "dtype"], components.Attributes.Keys);
        Assert.Equal("[1,32]", components.Attributes["block_size"].GetRawText());
        Assert.Equal("bfloat16", components.Attributes["dtype"].GetProperty("_data").GetString());
    }

    private void Free(IEnumerable<Weight> weights)
    {
        foreach (var weight in weights)
        {
            weight.Dispose();
        }

        Assert.Equal(0, _device.LiveAllocations);
    }

    private Task<IReadOnlyList<Weight>> TakeAsync(params byte[][] files) => Iterators.TakeAsync(Read(files));

    private IAsyncEnumerable<Weight> Read(byte[][] files, LoadOptions? load = null, IProgress<LoadProgress>? progress = null) => new SafetensorsWeights(
        Enumerable.Range(1, files.Length).Select(i => $"{i}.safetensors"),
        new SafetensorsWeightsOptions
        {
            Strategy = LoadStrategy.TorchAO,
            Load = load ?? new LoadOptions { Device = _device },
            Warnings = _warnings.ToLog(),
            Open = (file, _) => new MemorySource(files[file[0] - '1'], file),
        }).ReadAsync(progress);
}
