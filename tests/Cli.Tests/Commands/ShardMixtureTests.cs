using IlgpuLoader.Formats;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary><c>shard</c> of a mixture whose experts are quantised, and so modules of their own: the ranks' names differ.</summary>
public sealed class ShardMixtureTests : IDisposable
{
    private const string Mixture = "model.layers.0.block_sparse_moe.";
    private const float Scale = 0.5f;
    private const int Hidden = 32;
    private const int Wide = 16;
    private const int Experts = 5;

    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, byte[]> _written = [];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true, "--max-size", "2KB")]
    [InlineData(false, "--unprocessed")]
    public async Task Ranks_of_a_quantised_mixture_that_are_saved_by_runs_of_their_own_become_one_folder(bool isProcessed, params string[] more)
    {
        Write();
        var first = await ToolRun.OfAsync(["shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0", .. more]);
        Assert.Equal((0, ""), (first.ExitCode, first.Error));
        Assert.False(Directory.Exists(_folder["out"]));
        var second = await ToolRun.OfAsync(["shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "1", .. more]);
        Assert.Equal((0, ""), (second.ExitCode, second.Error));
        Assert.Equal([_folder["m"], _folder["out"]], Directory.EnumerateFileSystemEntries(_folder.Path).Order(StringComparer.Ordinal));
        Assert.Equal($"ok {_folder["out"]}\n", (await ToolRun.OfAsync("verify", _folder["out"])).Out);
        await AssertExpertsAsync(0, isProcessed, 0, 1, 2);
        await AssertExpertsAsync(1, isProcessed, 3, 4);
        foreach (var rank in (string[])["0", "1"])
        {
            Assert.Equal(0, (await ToolRun.OfAsync("load", _folder["out"], "--sharded", "--model", "--rank", rank)).ExitCode);
        }
    }

    // As they are stored, or what they stand for in the dtype of the model.
    private async Task AssertExpertsAsync(int rank, bool isProcessed, params int[] experts)
    {
        string[] parts = isProcessed ? ["weight"] : ["weight", "weight_scale"];
        await using var state = await ShardedState.OpenAsync(_folder["out"], rank);
        var found = state.Tensors.Where(tensor => tensor.Name.Contains(".experts.", StringComparison.Ordinal)).ToDictionary(tensor => tensor.Name);
        Assert.Equal(
            experts.SelectMany(expert => ((string[])["w1", "w2", "w3"]).SelectMany(name => parts.Select(part => $"{Mixture}experts.{expert}.{name}.{part}"))),
            found.Keys.Order(StringComparer.Ordinal));
        foreach (var name in found.Keys)
        {
            var stored = state.Checkpoint[name];
            var bytes = new byte[stored.DataByteLength];
            await stored.File.Source.ReadExactlyAsync(stored.DataOffset, bytes, default);
            var expected = isProcessed ? [.. _written[name].SelectMany(Dequantised)] : _written[name];
            Assert.True(expected.AsSpan().SequenceEqual(bytes), name);
        }
    }

    // E4M3 without a sign and below 2, of which each is a BF16; and so is half of it.
    private static byte[] Dequantised(byte bits)
    {
        var (exponent, mantissa) = (bits >> 3, bits & 7);
        var value = (exponent == 0 ? Math.ScaleB(mantissa, -9) : Math.ScaleB(8 + mantissa, exponent - 10)) * Scale;
        return BitConverter.GetBytes((float)value)[2..];
    }

    private void Write()
    {
        var builder = new SafetensorsBuilder();
        var random = new Random(11);
        Add("model.embed_tokens.weight", DType.BF16, 100, Hidden);
        Add("lm_head.weight", DType.BF16, 100, Hidden);
        Add("model.norm.weight", DType.BF16, Hidden);
        Add("model.layers.0.input_layernorm.weight", DType.BF16, Hidden);
        Add("model.layers.0.post_attention_layernorm.weight", DType.BF16, Hidden);
        foreach (var name in (string[])["q_proj", "k_proj", "v_proj", "o_proj"])
        {
            Add($"model.layers.0.self_attn.{name}.weight", DType.BF16, Hidden, Hidden);
        }

        Add(Mixture + "gate.weight", DType.BF16, Experts, Hidden);
        for (var expert = 0; expert < Experts; expert++)
        {
            foreach (var name in (string[])["w1", "w2", "w3"])
            {
                Add($"{Mixture}experts.{expert}.{name}.weight", DType.F8_E4M3, name == "w2" ? [Hidden, Wide] : [Wide, Hidden]);
                Add($"{Mixture}experts.{expert}.{name}.weight_scale", DType.F32, 1);
            }
        }

        _folder.Write("m/model.safetensors", builder.ToBytes());
        _folder.Write(
            "m/config.json",
            $$"""
            {
              "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "torch_dtype": "bfloat16", "hidden_size": {{Hidden}}, "intermediate_size": {{Wide}}, "num_hidden_layers": 1,
              "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 100, "num_local_experts": {{Experts}},
              "quantization_config": { "quant_method": "fp8", "activation_scheme": "dynamic", "ignored_layers": ["model.layers.0.self_attn"] }
            }
            """);

        void Add(string name, DType dtype, params long[] shape)
        {
            var bytes = dtype == DType.F32 ? BitConverter.GetBytes(Scale) : new byte[dtype.ByteCount(new Shape(shape).ElementCount)];
            if (dtype != DType.F32)
            {
                random.NextBytes(bytes);
                // Positive, below 2, and never NaN.
                foreach (ref var value in bytes.AsSpan())
                {
                    value &= 0x3F;
                }
            }

            builder.Add(name, dtype.Name, shape.Select(size => (ulong)size), bytes);
            _written.Add(name, bytes);
        }
    }
}
