using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Where the experts of a Mixtral are: a part of each on every rank, or some of them whole.</summary>
public sealed class MixtralTests
{
    private const string Mixture = "model.layers.0.block_sparse_moe.";

    private static readonly ModelConfig Config = ModelSample.Config("MixtralForCausalLM", ModelSample.Sizes + ", \"num_local_experts\": 5");

    [Fact]
    public void Expert_parallel_ranks_have_their_experts_whole_and_read_no_others()
    {
        var held = new List<int>();
        for (var rank = 0; rank < 4; rank++)
        {
            using var model = ModelInitializer.Initialize(ModelSample.Context(Config, 4, rank) with { ExpertParallel = true });
            Assert.True(model.TryGetParameter(Mixture + "experts.w13_weight", out var packed));
            Assert.Equal(new Shape(rank == 0 ? 2 : 1, 96, 32), packed.Shape);
            for (var expert = 0; expert < 5; expert++)
            {
                var name = $"{Mixture}experts.{expert}.w3.weight";
                using var weight = ModelSample.Unread(name, new Shape(48, 32));
                var written = ModelSample.Record(Assert.Single(model.Route(name).Targets), weight).Sum(write => write.ElementCount);
                Assert.True(written is 0 or 48 * 32);
                held.AddRange(written > 0 ? [expert] : []);
            }
        }

        Assert.Equal([0, 1, 2, 3, 4], held);
    }

    [Fact]
    public void Quantised_by_a_method_that_cannot_pack_them_experts_are_modules()
    {
        using var model = ModelInitializer.Initialize(ModelSample.Context(Config, 2, 1) with { QuantizationMethod = "gptq" });
        Assert.Equal(
            [
                Mixture + "experts.3.w1.weight [48, 32]",
                Mixture + "experts.3.w2.weight [32, 48]",
                Mixture + "experts.3.w3.weight [48, 32]",
                Mixture + "experts.4.w1.weight [48, 32]",
                Mixture + "experts.4.w2.weight [32, 48]",
                Mixture + "experts.4.w3.weight [48, 32]",
                Mixture + "gate.weight [5, 32]",
            ],
            ModelSample.Describe(model).Where(name => name.StartsWith(Mixture, StringComparison.Ordinal)));
        Assert.Equal("the expert is on another rank", model.Route(Mixture + "experts.2.w1.weight").SkippedSince);
        Assert.Equal(Mixture + "experts.3.w2.weight", Assert.Single(model.Route(Mixture + "experts.3.w2.weight").Targets).Parameter.Name);
        foreach (var name in new[] { "experts.5.w1.weight", "experts.03.w1.weight", "experts.3.w4.weight", "experts.3", "experts.x.w1.weight" })
        {
            Assert.Equal((name, true), (name, model.Route(Mixture + name).IsUnknown));
        }
    }

    [Fact]
    public void Experts_as_modules_are_quantised_by_their_names_and_the_gate_is_not()
    {
        var asked = new List<string>();
        ModelInitializer.Initialize(ModelSample.Context(Config, 5, 4) with { Quantization = new Names(asked), Config = OneHeadARank }).Dispose();
        Assert.Equal(
            ["self_attn.qkv_proj", "self_attn.o_proj", "self_attn.attn", "block_sparse_moe.experts.4.w1", "block_sparse_moe.experts.4.w2", "block_sparse_moe.experts.4.w3"],
            asked.Select(name => name["model.layers.0.".Length..]));
    }

    // Whatever the registry takes for methods that pack them.
    [Fact]
    public void Experts_that_are_quantised_and_not_packed_are_modules_in_every_layer()
    {
        var config = ModelSample.Config("MixtralForCausalLM", ModelSample.Sizes.Replace("_layers\": 1", "_layers\": 2", StringComparison.Ordinal) + ", \"num_local_experts\": 5");
        var quantization = QuantizedLayers.Config("""{ "quant_method": "fp8", "ignored_layers": ["model.layers.0"] }""");
        using var model = ModelInitializer.Initialize(ModelSample.Context(config, 2, 1) with { Quantization = quantization });
        Assert.Equal(
            ["0.block_sparse_moe.experts.3.w1.weight BF16", "1.block_sparse_moe.experts.3.w1.weight F8_E4M3", "1.block_sparse_moe.experts.3.w1.weight_scale F32"],
            model.NamedParameters().Where(entry => entry.Name.Contains("experts.3.w1", StringComparison.Ordinal)).Select(entry => $"{entry.Name["model.layers.".Length..]} {entry.Parameter.DType.Name}"));

        var ignored = QuantizedLayers.Config("""{ "quant_method": "fp8", "ignored_layers": ["model.layers.0.block_sparse_moe", "model.layers.1.block_sparse_moe"] }""");
        using var packed = ModelInitializer.Initialize(ModelSample.Context(config, 2, 1) with { Quantization = ignored });
        Assert.True(packed.TryGetParameter(Mixture + "experts.w13_weight", out _));
        using var own = ModelInitializer.Initialize(ModelSample.Context(config, 2, 1) with { Quantization = new PacksAll() });
        Assert.True(own.TryGetParameter(Mixture + "experts.packed", out _));
    }

    [Theory]
    [InlineData("gptq", false)]
    [InlineData(null, true)]
    public void More_ranks_than_experts_are_refused(string? method, bool isExpertParallel)
    {
        var config = ModelSample.Config("MixtralForCausalLM", ModelSample.Sizes + ", \"num_local_experts\": 3");
        var exception = Assert.Throws<UnsupportedCheckpointException>(
            () => ModelInitializer.Initialize(ModelSample.Context(config, 4) with { QuantizationMethod = method, ExpertParallel = isExpertParallel }));
        Assert.Contains("3 experts (num_local_experts) cannot be shared by 4 ranks", exception.Message, StringComparison.Ordinal);
    }

    // Ranks that share no expert need not divide its features.
    [Fact]
    public void Features_within_experts_are_held_against_the_ranks_only_where_they_are_split()
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => ModelInitializer.Initialize(ModelSample.Context(OneHeadARank, 5)));
        Assert.Contains("48 features (intermediate_size) cannot be split evenly over 5", exception.Message, StringComparison.Ordinal);
        ModelInitializer.Initialize(ModelSample.Context(OneHeadARank, 5) with { ExpertParallel = true }).Dispose();
    }

    private static ModelConfig OneHeadARank => ModelSample.Config(
        "MixtralForCausalLM",
        """
        "hidden_size": 40, "num_hidden_layers": 1, "num_attention_heads": 5, "num_key_value_heads": 5, "intermediate_size": 48, "vocab_size": 100, "num_local_experts": 5
        """);

    private sealed class PacksAll : QuantizationConfig, IQuantizeMethod
    {
        public override string Name => "fp8";

        public override IQuantizeMethod? MethodFor(Module layer, string prefix) => this;

        public void CreateWeights(Module layer) => layer.Register("packed", new Parameter(DType.U8, new Shape(1)));

        public void ProcessWeightsAfterLoading(Module layer, Gpu.Device device)
        {
        }
    }

    private sealed class Names(List<string> asked) : QuantizationConfig
    {
        public override string Name => "gptq";

        public override IQuantizeMethod? MethodFor(Module layer, string prefix)
        {
            asked.Add(prefix);
            return null;
        }
    }
}
