using System.Globalization;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Quantised checkpoints from their configuration and file to the weights of a model, on every rank, against values that are computed from the stored numbers in doubles.</summary>
[Trait("Area", "Quantization")]
public sealed class QuantizedCheckpointTests
{
    private const int Hidden = 64;
    private const int Intermediate = 128;
    private const int Experts = 4;
    private const string Layer = "model.layers.0.";

    // Outputs and inputs; queries, keys and values are of four heads and twice two of 16.
    private static readonly (string Name, int Outputs, int Inputs)[] Attention =
        [("self_attn.q_proj", Hidden, Hidden), ("self_attn.k_proj", 32, Hidden), ("self_attn.v_proj", 32, Hidden), ("self_attn.o_proj", Hidden, Hidden)];

    private static readonly (string Name, int Outputs, int Inputs)[] FeedForward =
        [("mlp.gate_proj", Intermediate, Hidden), ("mlp.up_proj", Intermediate, Hidden), ("mlp.down_proj", Hidden, Intermediate)];

    public static TheoryData<string, string, int> Cases()
    {
        var cases = new TheoryData<string, string, int>();
        foreach (var architecture in (string[])["LlamaForCausalLM", "MixtralForCausalLM"])
        {
            foreach (var scheme in (string[])["fp8", "int8", "gptq", "gptq without g_idx", "gptq act-order"])
            {
                cases.Add(architecture, scheme, 1);
                cases.Add(architecture, scheme, 2);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Linear_weights_are_what_the_stored_numbers_stand_for(string architecture, string scheme, int world)
    {
        using var stored = new Stored(architecture, scheme);
        await using var checkpoint = await stored.Sample().OpenAsync();
        for (var rank = 0; rank < world; rank++)
        {
            var device = new HostDevice();
            using (var model = ModelInitializer.Initialize(stored.Context(world, rank)))
            {
                var plan = new ModuleLoader().Plan(model, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device } });
                await new ModuleLoader().LoadAsync(plan);
                WeightProcessing.Run(model, DType.BF16, device);
                var expected = stored.Expected(world, rank).ToDictionary(entry => entry.Name, entry => entry.Values, StringComparer.Ordinal);
                var layers = model.NamedModules().Where(entry => entry.Module is LinearLayer).ToArray();
                Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), layers.Select(entry => entry.Name).Order(StringComparer.Ordinal));
                foreach (var (name, layer) in layers)
                {
                    Assert.Equal(["weight"], layer.Parameters.Keys);
                    Assert.True(expected[name].SequenceEqual(QuantizedLayers.Weight((LinearLayer)layer)), $"{name} differs on rank {rank}.");
                }

                Assert.Equal(model.NamedParameters().Count(), device.LiveAllocations);
            }

            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Biases_of_zero_that_gptq_writes_are_taken_and_gone_after_the_load(bool isSequence)
    {
        using var stored = new Stored("LlamaForCausalLM", "gptq");
        await using var checkpoint = await stored.Sample(("self_attn.k_proj", new float[32]), ("mlp.down_proj", new float[Hidden])).OpenAsync();
        for (var rank = 0; rank < 2; rank++)
        {
            var device = new HostDevice();
            using (var model = ModelInitializer.Initialize(stored.Context(2, rank)))
            {
                await LoadAsync(model, checkpoint, device, isSequence);
                WeightProcessing.Run(model, DType.BF16, device);
                Assert.DoesNotContain(model.NamedParameters(), entry => entry.Name.EndsWith(".bias", StringComparison.Ordinal));
                Assert.Equal(model.NamedParameters().Count(), device.LiveAllocations);
                Assert.True(model.TryGetParameter(Layer + "mlp.down_proj.weight", out var weight));
                Assert.Equal(
                    stored.Expected(2, rank).Single(entry => entry.Name == Layer + "mlp.down_proj").Values, weight.Data.AsReadOnlySpan<ushort>().ToArray());
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    // Also where it is in the share of the other rank, or no number.
    [Theory]
    [InlineData(0.5F, false)]
    [InlineData(0.5F, true)]
    [InlineData(float.NaN, false)]
    public async Task A_bias_that_is_not_zero_is_not_lost(float value, bool isSequence)
    {
        using var stored = new Stored("LlamaForCausalLM", "gptq");
        var bias = new float[32];
        bias[17] = value;
        await using var checkpoint = await stored.Sample(("self_attn.q_proj", new float[Hidden]), ("self_attn.k_proj", bias)).OpenAsync();
        for (var rank = 0; rank < 2; rank++)
        {
            var device = new HostDevice();
            using (var model = ModelInitializer.Initialize(stored.Context(2, rank)))
            {
                var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => LoadAsync(model, checkpoint, device, isSequence));
                Assert.Contains(
                    $"tensor '{Layer}self_attn.k_proj.bias' has {value.ToString(CultureInfo.InvariantCulture)} at 17, and '{Layer}self_attn.qkv_proj.bias' is of a layer without a bias",
                    exception.Message,
                    StringComparison.Ordinal);
                Assert.All(model.NamedParameters(), entry => Assert.True(entry.Parameter.IsMeta));
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    private static async Task LoadAsync(Module model, Checkpoint checkpoint, HostDevice device, bool isSequence)
    {
        var options = new ModuleLoadOptions { Load = new LoadOptions { Device = device } };
        if (isSequence)
        {
            _ = await new ModuleLoader().LoadAsync(model, CheckpointWeights.Of(checkpoint).ToAsyncEnumerable(), options);
        }
        else
        {
            _ = await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint, options));
        }
    }

    /// <summary>A model's configuration and file, and the weights that they stand for.</summary>
    private sealed class Stored : IDisposable
    {
        private readonly string _architecture;
        private readonly string _scheme;
        private readonly OrderedDictionary<string, StoredPart> _parts = new(StringComparer.Ordinal);
        private readonly ushort[] _gate;

        public Stored(string architecture, string scheme)
        {
            (_architecture, _scheme) = (architecture, scheme);
            var random = new Random(7);
            _gate = Brains(random, Experts * Hidden);
            foreach (var (name, outputs, inputs) in Attention.Concat(IsMixture ? ExpertProjections() : FeedForward))
            {
                _parts.Add(Layer + name, Make(random, outputs, inputs));
            }
        }

        private bool IsMixture => _architecture == "MixtralForCausalLM";

        public ModelContext Context(int world, int rank)
        {
            var config = ModelSample.Config(
                $$"""
                {
                  "architectures": ["{{_architecture}}"], "model_type": "x", "torch_dtype": "bfloat16", "hidden_size": {{Hidden}}, "num_hidden_layers": 1, "num_attention_heads": 4,
                  "num_key_value_heads": 2, "intermediate_size": {{Intermediate}}, "vocab_size": 100, "num_local_experts": {{Experts}}, "quantization_config": {{Quantization()}}
                }
                """);
            return new ModelContext { Config = config, Quantization = QuantizationMethods.Read(config.Root), Parallel = new TensorParallel(world, rank) };
        }

        public Sample Sample(params (string Name, float[] Values)[] biases)
        {
            var random = new Random(8);
            var builder = new SafetensorsBuilder();
            foreach (var (name, shape) in ((string, ulong[])[])
                [
                    ("model.embed_tokens.weight", [100, Hidden]), ("lm_head.weight", [100, Hidden]), ("model.norm.weight", [Hidden]),
                    (Layer + "input_layernorm.weight", [Hidden]), (Layer + "post_attention_layernorm.weight", [Hidden]),
                ])
            {
                builder.Add(name, "BF16", shape, MemoryMarshal.AsBytes(Brains(random, (int)shape.Aggregate((product, size) => product * size)).AsSpan()));
            }

            if (IsMixture)
            {
                builder.Add(Layer + "block_sparse_moe.gate.weight", "BF16", [Experts, Hidden], MemoryMarshal.AsBytes(_gate.AsSpan()));
            }

            foreach (var (name, part) in _parts)
            {
                foreach (var (tensor, values) in part.Tensors)
                {
                    builder.Add($"{name}.{tensor}", values.DType.Name, values.Shape.ToArray().Select(size => (ulong)size), values.AsReadOnlySpan<byte>());
                }
            }

            foreach (var (name, values) in biases)
            {
                builder.Add($"{Layer}{name}.bias", "F32", [(ulong)values.Length], MemoryMarshal.AsBytes(values.AsSpan()));
            }

            return Tests.Sample.Of(builder.ToBytes());
        }

        /// <summary>A rank's linear layers by name, and their values as BF16.</summary>
        public IEnumerable<(string Name, ushort[] Values)> Expected(int world, int rank)
        {
            yield return (Layer + "self_attn.qkv_proj", [.. Rows("self_attn.q_proj"), .. Rows("self_attn.k_proj"), .. Rows("self_attn.v_proj")]);
            yield return (Layer + "self_attn.o_proj", Columns("self_attn.o_proj"));
            if (!IsMixture)
            {
                yield return (Layer + "mlp.gate_up_proj", [.. Rows("mlp.gate_proj"), .. Rows("mlp.up_proj")]);
                yield return (Layer + "mlp.down_proj", Columns("mlp.down_proj"));
                yield break;
            }

            // Experts are whole, the first half of them on the first of two ranks.
            yield return (Layer + "block_sparse_moe.gate", _gate);
            foreach (var (name, _, _) in ExpertProjections().Skip(rank * Experts / world * 3).Take(Experts / world * 3))
            {
                yield return (Layer + name, Cut(name, 1, 0, 1, 0));
            }

            ushort[] Rows(string name) => Cut(name, world, rank, 1, 0);

            ushort[] Columns(string name) => Cut(name, 1, 0, world, rank);
        }

        public void Dispose()
        {
            foreach (var part in _parts.Values)
            {
                part.Dispose();
            }
        }

        private static IEnumerable<(string Name, int Outputs, int Inputs)> ExpertProjections() =>
            from expert in Enumerable.Range(0, Experts)
            let prefix = string.Create(CultureInfo.InvariantCulture, $"block_sparse_moe.experts.{expert}.")
            from projection in ((string, int, int)[])[(prefix + "w1", Intermediate, Hidden), (prefix + "w2", Hidden, Intermediate), (prefix + "w3", Intermediate, Hidden)]
            select projection;

        private static ushort[] Brains(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => StoredPart.Brain(random.NextDouble() - 0.5))];

        // One of so many shares of the outputs, and of the inputs.
        private ushort[] Cut(string name, int outputShares, int outputShare, int inputShares, int inputShare)
        {
            var part = _parts[Layer + name];
            var (outputs, inputs) = (part.Outputs / outputShares, part.Inputs / inputShares);
            return
            [
                .. from output in Enumerable.Range(outputShare * outputs, outputs)
                   from input in Enumerable.Range(inputShare * inputs, inputs)
                   select StoredPart.Brain(part.Value(output, input)),
            ];
        }

        private StoredPart Make(Random random, int outputs, int inputs)
        {
            switch (_scheme)
            {
                case "fp8":
                    return StoredPart.Fp8Blocks(random, outputs, inputs, 16, 32);
                case "int8":
                    return StoredPart.Int8(random, outputs, inputs, false);
                case "gptq act-order":
                    var order = Enumerable.Range(0, inputs).Select(input => input / 32).ToArray();
                    random.Shuffle(order);
                    return StoredPart.Gptq(random, 4, outputs, inputs, 32, 1, order);
                default:
                    return StoredPart.Gptq(random, 4, outputs, inputs, 32, 1, null, _scheme == "gptq");
            }
        }

        private string Quantization() => _scheme switch
        {
            "fp8" => """{ "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [16, 32] }""",
            "int8" =>
                """
                { "quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ["lm_head", "re:.*block_sparse_moe.gate"], "config_groups": { "group_0": {
                  "targets": ["Linear"], "weights": { "num_bits": 8, "type": "int", "strategy": "channel", "symmetric": true, "dynamic": false } } } }
                """,
            "gptq act-order" => """{ "quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true, "sym": false }""",
            _ => """{ "quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": false, "sym": false }""",
        };
    }
}
