using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Parameters that are written in the layout of their architecture, held against those that a load gives.</summary>
public sealed class ModelConverterTests : IDisposable
{
    private static readonly LlamaOptions Llama = new() { Layers = 2, Hidden = 64, Intermediate = 96, Heads = 8, KeyValueHeads = 4, Vocabulary = 101, Shards = 2 };

    private readonly TemporaryFolder _folder = new();
    private readonly HostDevice _device = new();

    public void Dispose()
    {
        Assert.Equal((0, 0), (_device.LiveAllocations, _device.LiveBytes));
        _folder.Dispose();
    }

    [Theory]
    [InlineData("m", "out", 1, null)]
    [InlineData("m", "out.safetensors", 4, null)]
    [InlineData("m", "out", 4, 20_000L)]
    [InlineData("m.pt", "out", 2, 1L)]
    [InlineData("m.gguf", "out", 2, 20_000L)]
    public async Task Convert_Parameters_AreThoseThatALoadGives(string source, string output, int world, long? window)
    {
        await WriteAsync(source);
        await using var checkpoint = await Checkpoint.OpenAsync(_folder[source]);
        for (var rank = 0; rank < world; rank++)
        {
            using var expected = Make(checkpoint, world, rank);
            await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(expected, checkpoint));
            using var module = Make(checkpoint, world, rank);
            var options = Options() with { WindowBytes = window ?? ModelConversionOptions.DefaultWindowBytes, MaximumShardBytes = output == "out" ? 30_000 : null };
            var path = _folder[$"{rank}-{output}"];
            var result = await ModelConverter.ConvertAsync(module, checkpoint, path, options);
            Assert.All(module.NamedParameters(), entry => Assert.True(entry.Parameter.IsMeta));
            await using var written = await Checkpoint.OpenAsync(path);
            Assert.Empty(written.Warnings);
            AssertSame(expected, written);
            Assert.Contains("model.layers.1.self_attn.qkv_proj.weight", written.Tensors.Select(tensor => tensor.Name));
            Assert.Equal((result.Parameters, result.BytesWritten), (written.Tensors.Length, written.TensorBytes));
            Assert.Equal((output == "out", window is not null || output == "out"), (written.Files.Length > 1, result.Batches > 1));
        }
    }

    [Fact]
    public async Task Convert_Window_BoundsTheMemory()
    {
        await WriteAsync("m");
        await using var whole = await Checkpoint.OpenAsync(_folder["m"]);
        await CheckpointConverter.ConvertAsync(whole, _folder["one.safetensors"]);
        const long window = 16 << 10;
        const long staging = 64 << 10;
        long peak = 0;
        await using var checkpoint = await Checkpoint.OpenAsync(new WatchingSource(new LocalFileSource(_folder["one.safetensors"]), () => Watch()));
        using var module = Make(whole, 1, 0);
        var load = new ModuleLoadOptions { Load = new LoadOptions { Device = _device, StagingBytes = (int)staging, Lanes = 1 } };
        var options = new ModelConversionOptions { Load = load, WindowBytes = window };
        var result = await ModelConverter.ConvertAsync(module, checkpoint, _folder["out.safetensors"], options, new SynchronousProgress(Watch));
        var largest = module.NamedParameters().Max(entry => entry.Parameter.Data.ByteLength);
        var all = module.NamedParameters().Sum(entry => entry.Parameter.Data.ByteLength);
        Assert.InRange(peak, 1, Math.Max(window, largest) + staging);
        Assert.True(peak < all);
        Assert.True(result.Batches > 5);

        void Watch() => peak = Math.Max(Volatile.Read(ref peak), _device.LiveBytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Convert_TiedEmbedding_IsWrittenOnceUnlessInFull(bool inFull)
    {
        await LlamaSynthesizer.WriteAsync(_folder["m"], Llama with { TieEmbeddings = true });
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["m"]);
        using var module = Make(checkpoint, 2, 1);
        var result = await ModelConverter.ConvertAsync(module, checkpoint, _folder["out"], Options() with { DuplicateTies = inFull, WindowBytes = 1 });
        await using var written = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Equal(inFull ? 0 : 1, result.Ties);
        Assert.Equal(inFull ? null : "model.embed_tokens.weight", written["lm_head.weight"].TiedTo);
        Assert.Equal(await BytesAsync(written["model.embed_tokens.weight"]), await BytesAsync(written["lm_head.weight"]));
        using var expected = Make(checkpoint, 2, 1);
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(expected, checkpoint));
        AssertSame(expected, written);
    }

    [Fact]
    public async Task Convert_OneWeightForTwoParameters_IsReadForEachWindow()
    {
        var sample = Sample.Make(1, ("w", DType.F32, [4, 6]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Twice();
        var result = await ModelConverter.ConvertAsync(module, checkpoint, _folder["out.safetensors"], Options() with { WindowBytes = 1 });
        await using var written = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Equal((2, 2, 192L), (result.Batches, result.Parameters, result.BytesRead));
        Assert.Equal(sample.Tensors["w"], await BytesAsync(written["first"]));
        Assert.Equal(sample.Tensors["w"], await BytesAsync(written["second"]));
    }

    [Fact]
    public async Task Convert_WhatNothingFills_IsAnErrorZeroOrLeftOut()
    {
        await using var checkpoint = await Sample.Make(1, ("w", DType.F32, [4, 6]), ("stranger", DType.F32, [1])).OpenAsync();
        using var module = new Twice();
        module.Register("missing", new Parameter(DType.F16, new Shape(3)));
        module.Register("optional", new Parameter(DType.F16, new Shape(3)) { IsRequired = false });
        var error = await Assert.ThrowsAsync<ModelMismatchException>(() => ModelConverter.ConvertAsync(module, checkpoint, _folder["out"], Options()));
        Assert.Contains("nothing fills parameter 'missing'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'stranger'", error.Message, StringComparison.Ordinal);
        var options = Options() with { Load = Options().Load with { IsStrict = false } };
        var result = await ModelConverter.ConvertAsync(module, checkpoint, _folder["out.safetensors"], options);
        Assert.Equal(["missing"], result.Plan.Missing.Select(parameter => parameter.Name));
        Assert.Equal(["stranger"], result.Plan.Unexpected.ToArray());
        await using var written = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Equal(["first", "missing", "second"], written.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal(new byte[6], await BytesAsync(written["missing"]));
    }

    [Theory]
    [InlineData("out.gguf")]
    [InlineData("out.pt")]
    [InlineData("out.npy")]
    public async Task Convert_IntoAnotherFormat_IsAnArgument(string output)
    {
        await using var checkpoint = await Sample.Make(1, ("w", DType.F32, [4, 6])).OpenAsync();
        using var module = new Twice();
        var error = await Assert.ThrowsAsync<ArgumentException>(() => ModelConverter.ConvertAsync(module, checkpoint, _folder[output], Options()));
        Assert.Equal("options", error.ParamName);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("out")]
    [InlineData("out.safetensors")]
    public async Task Convert_CancelledOrFailing_LeavesNothing(string output)
    {
        var sample = Sample.Make(1, ("w", DType.F32, [4, 6]));
        using var module = new Twice();
        using var stop = new CancellationTokenSource();
        var source = new ActingSource(new MemorySource(sample.File, "sample.safetensors"));
        await using (var checkpoint = await Checkpoint.OpenAsync(source))
        {
            source.Arm(2, stop.Cancel);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => ModelConverter.ConvertAsync(module, checkpoint, _folder[output], Options() with { WindowBytes = 1 }, cancellationToken: stop.Token));
        }

        await using (var failing = await Checkpoint.OpenAsync(source = new ActingSource(new MemorySource(sample.File, "sample.safetensors"))))
        {
            source.Arm(2, () => throw new IOException("no more"));
            var error = await Assert.ThrowsAsync<IOException>(
                () => ModelConverter.ConvertAsync(module, failing, _folder[output], Options() with { WindowBytes = 1 }));
            Assert.Contains("no more", error.Message, StringComparison.Ordinal);
        }

        Assert.All(module.NamedParameters(), entry => Assert.True(entry.Parameter.IsMeta));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Convert_Folder_CarriesTheConfigurationWithItsDType()
    {
        await WriteAsync("m");
        _folder.Write("elsewhere/config.json", File.ReadAllBytes(Path.Combine(_folder["m"], "config.json")));
        _folder.Write("elsewhere/tokenizer.json", "{}"u8.ToArray());
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["m"]);
        using var module = Make(checkpoint, 1, 0, DType.F32);
        var options = Options() with { ConfigDType = DType.F32, CarriedFrom = _folder["elsewhere"], MaximumShardBytes = 50_000 };
        var result = await ModelConverter.ConvertAsync(module, checkpoint, _folder["out"], options);
        Assert.Equal(["config.json", "tokenizer.json"], result.CarriedFiles.ToArray());
        await using var written = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Equal("float32", written.Config!.TorchDType);
        Assert.All(written.Tensors, tensor => Assert.Equal(DType.F32, tensor.DType));
        using var index = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(_folder["out"], "model.safetensors.index.json")));
        Assert.Equal(
            module.NamedParameters().Select(entry => entry.Name).Append("lm_head.weight").Distinct().Order(StringComparer.Ordinal),
            index.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => entry.Name).Order(StringComparer.Ordinal));
    }

    private static Module Make(Checkpoint checkpoint, int world, int rank, DType dtype = DType.BF16) => ModelInitializer.Initialize(new ModelContext
    {
        Config = checkpoint.Config ?? GgufConfiguration.Of(checkpoint),
        Checkpoint = checkpoint,
        DType = dtype,
        Parallel = new TensorParallel(world, rank),
    });

    private static void AssertSame(Module expected, Checkpoint written)
    {
        foreach (var (name, parameter) in expected.NamedParameters())
        {
            var tensor = written[name];
            Assert.Equal((parameter.DType, parameter.Shape), (tensor.DType, tensor.Shape));
            Assert.Equal(parameter.Data.AsSpan<byte>().ToArray(), BytesAsync(tensor).GetAwaiter().GetResult());
        }
    }

    private static async Task<byte[]> BytesAsync(TensorInfo tensor)
    {
        var bytes = new byte[tensor.DataByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.DataOffset, bytes);
        return bytes;
    }

    private ModelConversionOptions Options() => new() { Load = new ModuleLoadOptions { Load = new LoadOptions { Device = _device } } };

    private async Task WriteAsync(string name)
    {
        if (name == "m.gguf")
        {
            File.WriteAllBytes(_folder[name], Quantised().Builder.ToBytes());
            return;
        }

        await LlamaSynthesizer.WriteAsync(_folder["m"], Llama);
        if (name != "m")
        {
            File.Copy(Path.Combine(_folder["m"], "config.json"), _folder["config.json"]);
            await using var checkpoint = await Checkpoint.OpenAsync(_folder["m"]);
            await CheckpointConverter.ConvertAsync(checkpoint, _folder[name]);
        }
    }

    private static GgufSample Quantised()
    {
        var sample = new GgufSample();
        sample.Builder
            .Add("general.architecture", "llama")
            .Add("llama.block_count", 2u)
            .Add("llama.embedding_length", 64u)
            .Add("llama.feed_forward_length", 96u)
            .Add("llama.attention.head_count", 8u)
            .Add("llama.attention.head_count_kv", 4u);
        sample.Add("token_embd.weight", 8, 101, 64).Add("output.weight", 2, 101, 64).Add("output_norm.weight", 0, 64);
        for (var i = 0; i < 2; i++)
        {
            sample
                .Add($"blk.{i}.attn_norm.weight", 0, 64)
                .Add($"blk.{i}.attn_q.weight", 8, 64, 64)
                .Add($"blk.{i}.attn_k.weight", 2, 32, 64)
                .Add($"blk.{i}.attn_v.weight", 8, 32, 64)
                .Add($"blk.{i}.attn_output.weight", 8, 64, 64)
                .Add($"blk.{i}.ffn_norm.weight", 0, 64)
                .Add($"blk.{i}.ffn_gate.weight", 2, 96, 64)
                .Add($"blk.{i}.ffn_up.weight", 8, 96, 64)
                .Add($"blk.{i}.ffn_down.weight", 8, 64, 96);
        }

        return sample;
    }

    private sealed class Twice : Module
    {
        private readonly Parameter _first;
        private readonly Parameter _second;

        public Twice()
        {
            _first = Register("first", new Parameter(DType.F32, new Shape(4, 6)));
            _second = Register("second", new Parameter(DType.F32, new Shape(4, 6)));
        }

        public override WeightRoute Route(string name) =>
            name == "w" ? WeightRoute.To([new WeightTarget(_first), new WeightTarget(_second)]) : WeightRoute.Unknown;
    }

    private sealed class WatchingSource(IByteSource inner, Action watch) : SourceDouble(inner)
    {
        public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
        {
            watch();
            return Inner.ReadAsync(offset, destination, cancellationToken);
        }
    }

    private sealed class SynchronousProgress(Action watch) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => watch();
    }
}
