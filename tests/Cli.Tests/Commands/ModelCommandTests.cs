using System.Text.Json;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary><c>--model</c> of load, plan and inspect.</summary>
public sealed class ModelCommandTests
{
    private static readonly string TinyLlama = Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");

    [Fact]
    public async Task Load_Model_SaysWhatIsLoadedAndHowLongItTook()
    {
        var run = await ToolRun.OfAsync("load", TinyLlama, "--model", "--tp", "2", "--rank", "1", "--device", "host");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("LlamaForCausalLM in BF16, rank 1 of 2: 15 parameters, 155 KiB on host", run.Out, StringComparison.Ordinal);
        Assert.Contains("planned in", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_ModelAsJson_HasTheSumsOfTheRank()
    {
        var document = (await ToolRun.OfAsync("load", TinyLlama, "--model", "--tp", "2", "--rank", "0", "--device", "host", "--dtype", "f32", "--json")).Document("ilgpu-loader/load-model/1");
        Assert.Equal("LlamaForCausalLM", document.GetProperty("model").GetProperty("architecture").GetString());
        Assert.Equal("F32", document.GetProperty("model").GetProperty("dtype").GetString());
        Assert.Equal(1, document.GetProperty("model").GetProperty("tensorParallel").GetProperty("rank").GetInt32() + 1);
        Assert.Equal(2 * 158_336, document.GetProperty("totals").GetProperty("bytes").GetInt64());
        Assert.Equal(21, document.GetProperty("totals").GetProperty("tensors").GetInt32());
        Assert.Equal(158_336, document.GetProperty("reads").GetProperty("bytesNeeded").GetInt64());
    }

    [Fact]
    public async Task Load_RankOfTensorsByTheirNames_LoadsItsShare()
    {
        var run = await ToolRun.OfAsync("load", TinyLlama, "--tp", "2", "--rank", "1", "--device", "host");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("155 KiB on host", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--strict", ExitCodes.CannotDo)]
    [InlineData("--tolerant", ExitCodes.Success)]
    public async Task Load_AParameterIsNotFilled_IsAnErrorOrAWarning(string strictness, int exitCode)
    {
        var run = await ToolRun.OfAsync("load", TinyLlama, "--model", "--exclude", "model.norm.weight", strictness, "--device", "host");
        Assert.Equal(exitCode, run.ExitCode);
        Assert.Contains("nothing fills parameter 'model.norm.weight' of shape [64]", run.Error, StringComparison.Ordinal);
        Assert.Equal(exitCode == 0, run.Error.StartsWith("warning: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Inspect_AParameterIsNotFilled_ShowsItAndEndsWith5()
    {
        var run = await ToolRun.OfAsync("inspect", TinyLlama, "--model", "--exclude", "*.k_proj.*", "--json");
        Assert.Equal(ExitCodes.CannotDo, run.ExitCode);
        var document = run.Document("ilgpu-loader/inspect-model/1");
        Assert.Equal(
            ["model.layers.0.self_attn.qkv_proj.weight", "model.layers.1.self_attn.qkv_proj.weight"],
            document.GetProperty("missing").EnumerateArray().Select(name => name.GetString()));
        var packed = document.GetProperty("parameters").EnumerateArray().First(parameter => parameter.GetProperty("name").GetString()!.Contains("qkv", StringComparison.Ordinal));
        Assert.False(packed.GetProperty("filled").GetBoolean());
        Assert.Equal(["q", "v"], packed.GetProperty("sources").EnumerateArray().Select(source => source.GetProperty("part").GetString()));
    }

    [Fact]
    public async Task Load_MapOfNames_ChangesThemOnTheWay()
    {
        using var folder = new TemporaryFolder();
        var map = folder.Write("map.json", """{"prefix": {"model.norm.": "final."}}""");
        var back = folder.Write("back.json", """{"prefix": {"final.": "model.norm."}, "substring": {"nothing": "of this"}}""");
        var wrong = await ToolRun.OfAsync("load", TinyLlama, "--model", "--map", map, "--device", "host");
        Assert.Equal(ExitCodes.CannotDo, wrong.ExitCode);
        Assert.Contains("tensor 'model.norm.weight' of shape [64] goes into no parameter", wrong.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await ToolRun.OfAsync("load", TinyLlama, "--model", "--map", back, "--device", "host")).ExitCode);
        Assert.Equal(ExitCodes.Usage, (await ToolRun.OfAsync("load", TinyLlama, "--map", back)).ExitCode);
    }

    [Fact]
    public async Task Load_WeightsElsewhere_TakesTheConfigurationFromThePath()
    {
        using var folder = new TemporaryFolder();
        folder.Write("config/config.json", await File.ReadAllBytesAsync(Path.Combine(TinyLlama, "config.json")));
        var run = await ToolRun.OfAsync("load", folder["config"], "--weights", TinyLlama, "--model", "--device", "host");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("15 parameters", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_AGgufWithoutAConfiguration_TakesWhatItsMetadataSays()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("model.gguf", Gguf());
        var run = await ToolRun.OfAsync("inspect", file, "--model", "--tp", "2", "--rank", "1", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/inspect-model/1");
        Assert.Equal("LlamaForCausalLM", document.GetProperty("model").GetProperty("architecture").GetString());
        Assert.Equal("F16", document.GetProperty("model").GetProperty("dtype").GetString());
        var names = document.GetProperty("parameters").EnumerateArray().ToDictionary(
            parameter => parameter.GetProperty("name").GetString()!, parameter => string.Join(",", parameter.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())));
        Assert.Equal("64,64", names["model.layers.0.self_attn.qkv_proj.weight"]);
        Assert.False(names.ContainsKey("lm_head.weight"));
        Assert.Equal(0, (await ToolRun.OfAsync("load", file, "--model", "--device", "host")).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("load", file, "--model", "--model-impl", "generic", "--device", "host")).ExitCode);
    }

    [Fact]
    public async Task Load_NoConfiguration_SaysWhereItShouldBe()
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("load", folder.Write("model.safetensors", SampleFiles.Mixed()), "--model");
        Assert.Equal(ExitCodes.CannotDo, run.ExitCode);
        Assert.Contains("there is no config.json beside the weights", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_AQuantisedModel_IsDequantisedAfterTheLoad()
    {
        using var folder = new TemporaryFolder();
        WriteFp8(folder);
        var run = await ToolRun.OfAsync("load", folder.Path, "--model", "--device", "host", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/load-model/1");
        Assert.Equal("fp8", document.GetProperty("model").GetProperty("quantization").GetString());
        var loaded = document.GetProperty("totals").GetProperty("bytes").GetInt64();
        // Weights of one byte become two, and their scales go.
        Assert.InRange(document.GetProperty("processedBytes").GetInt64(), loaded, 2 * loaded);
        Assert.NotEqual(loaded, document.GetProperty("processedBytes").GetInt64());
    }

    [LinuxTheory]
    [InlineData("RANK=1", "WORLD_SIZE=2")]
    [InlineData("JOB_COMPLETION_INDEX=1", "A=b")]
    public async Task Load_StartedByALauncher_LoadsItsRank(string rank, string other)
    {
        using var tool = ToolProcess.StartWith([rank, other], "load", TinyLlama, "--model", "--tp", "2", "--device", "host", "--json");
        var run = await tool.EndAsync(TimeSpan.FromMinutes(2));
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(1, run.Document("ilgpu-loader/load-model/1").GetProperty("model").GetProperty("tensorParallel").GetProperty("rank").GetInt32());
    }

    [Fact]
    public async Task Load_ExactSlices_ReadsWhatIsNeededAndNothingElse()
    {
        var document = (await ToolRun.OfAsync("load", TinyLlama, "--model", "--tp", "2", "--rank", "0", "--exact-slices", "--device", "host", "--json")).Document("ilgpu-loader/load-model/1");
        Assert.Equal(document.GetProperty("reads").GetProperty("bytesNeeded").GetInt64(), document.GetProperty("reads").GetProperty("bytesToRead").GetInt64());
    }

    [Fact]
    public async Task Load_NoRankIsNamed_AsksForIt()
    {
        // Within this process the environment has none: the option is asked for.
        var run = await ToolRun.OfAsync("load", TinyLlama, "--tp", "2", "--model");
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains("--tp 2 needs --rank", run.Error, StringComparison.Ordinal);
    }

    private static byte[] Gguf()
    {
        var builder = new GgufBuilder()
            .Add("general.architecture", "llama")
            .Add("llama.block_count", 1u)
            .Add("llama.embedding_length", 64u)
            .Add("llama.feed_forward_length", 64u)
            .Add("llama.attention.head_count", 4u)
            .Add("llama.attention.head_count_kv", 2u);
        foreach (var (name, rows, columns) in ((string, int, int)[])
            [
                ("token_embd", 40, 64), ("output_norm", 0, 64), ("blk.0.attn_norm", 0, 64), ("blk.0.ffn_norm", 0, 64), ("blk.0.attn_q", 64, 64), ("blk.0.attn_k", 32, 64), ("blk.0.attn_v", 32, 64),
                ("blk.0.attn_output", 64, 64), ("blk.0.ffn_gate", 64, 64), ("blk.0.ffn_up", 64, 64), ("blk.0.ffn_down", 64, 64),
            ])
        {
            _ = rows == 0
                ? builder.Tensor(name + ".weight", 0, [(ulong)columns], new byte[columns * 4])
                : builder.Tensor(name + ".weight", 8, [(ulong)columns, (ulong)rows], new byte[rows * columns / 32 * 34]);
        }

        return builder.ToBytes();
    }

    private static void WriteFp8(TemporaryFolder folder)
    {
        var builder = new SafetensorsBuilder();
        builder.Add("model.embed_tokens.weight", "BF16", [8, 64], new byte[1024]).Add("lm_head.weight", "BF16", [8, 64], new byte[1024]).Add("model.norm.weight", "BF16", [64], new byte[128]);
        foreach (var (name, rows) in ((string, int)[])[("self_attn.q_proj", 64), ("self_attn.k_proj", 64), ("self_attn.v_proj", 64), ("self_attn.o_proj", 64), ("mlp.gate_proj", 64), ("mlp.up_proj", 64), ("mlp.down_proj", 64)])
        {
            builder.Add($"model.layers.0.{name}.weight", "F8_E4M3", [(ulong)rows, 64], new byte[rows * 64]);
            builder.Add($"model.layers.0.{name}.weight_scale_inv", "F32", [2, 2], [.. Enumerable.Repeat(BitConverter.GetBytes(2f), 4).SelectMany(bytes => bytes)]);
        }

        builder.Add("model.layers.0.input_layernorm.weight", "BF16", [64], new byte[128]).Add("model.layers.0.post_attention_layernorm.weight", "BF16", [64], new byte[128]);
        folder.Write("model.safetensors", builder.ToBytes());
        folder.Write("config.json", JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object>
        {
            ["architectures"] = new[] { "LlamaForCausalLM" },
            ["model_type"] = "llama",
            ["hidden_size"] = 64,
            ["num_hidden_layers"] = 1,
            ["num_attention_heads"] = 4,
            ["num_key_value_heads"] = 4,
            ["intermediate_size"] = 64,
            ["vocab_size"] = 8,
            ["torch_dtype"] = "bfloat16",
            ["quantization_config"] = new Dictionary<string, object> { ["quant_method"] = "fp8", ["weight_block_size"] = new[] { 32, 32 }, ["activation_scheme"] = "dynamic" },
        }));
    }
}
