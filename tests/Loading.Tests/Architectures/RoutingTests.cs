using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RoutingTests
{
    private const string Gpt2 = """ "n_embd": 32, "n_layer": 1, "n_head": 8, "n_positions": 16, "vocab_size": 100 """;

    [Theory]
    [InlineData("LlamaForCausalLM", "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.qkv_proj.weight", "q")]
    [InlineData("LlamaForCausalLM", "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.qkv_proj.weight", "k")]
    [InlineData("LlamaForCausalLM", "model.layers.0.self_attn.v_proj.weight", "model.layers.0.self_attn.qkv_proj.weight", "v")]
    [InlineData("LlamaForCausalLM", "model.layers.0.self_attn.qkv_proj.weight", "model.layers.0.self_attn.qkv_proj.weight", "")]
    [InlineData("LlamaForCausalLM", "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.gate_up_proj.weight", "gate")]
    [InlineData("LlamaForCausalLM", "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.gate_up_proj.weight", "up")]
    [InlineData("LlamaForCausalLM", "model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.down_proj.weight", "")]
    [InlineData("Qwen2ForCausalLM", "model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.qkv_proj.bias", "k")]
    [InlineData("Phi3ForCausalLM", "model.layers.0.mlp.gate_up_proj.weight", "model.layers.0.mlp.gate_up_proj.weight", "")]
    [InlineData("MixtralForCausalLM", "model.layers.0.block_sparse_moe.experts.7.w1.weight", "model.layers.0.block_sparse_moe.experts.w13_weight", "w1 of expert 7")]
    [InlineData("MixtralForCausalLM", "model.layers.0.block_sparse_moe.experts.0.w3.weight", "model.layers.0.block_sparse_moe.experts.w13_weight", "w3 of expert 0")]
    [InlineData("MixtralForCausalLM", "model.layers.0.block_sparse_moe.experts.1.w2.weight", "model.layers.0.block_sparse_moe.experts.w2_weight", "w2 of expert 1")]
    [InlineData("MixtralForCausalLM", "model.layers.0.block_sparse_moe.experts.w2_weight", "model.layers.0.block_sparse_moe.experts.w2_weight", "")]
    public void A_weight_goes_into_its_part_of_a_parameter(string architecture, string name, string parameter, string shard)
    {
        using var model = Make(architecture, ModelSample.Sizes);
        var target = Assert.Single(model.Route(name).Targets);
        Assert.Equal((parameter, shard), (target.Parameter.Name, target.Shard.ToString()));
    }

    [Theory]
    [InlineData("h.0.attn.c_attn.weight")]
    [InlineData("transformer.h.0.attn.c_attn.weight")]
    public void Gpt2_is_known_with_and_without_its_prefix(string name)
    {
        using var model = Make("GPT2LMHeadModel", Gpt2);
        Assert.Equal("transformer.h.0.attn.c_attn.weight", Assert.Single(model.Route(name).Targets).Parameter.Name);
    }

    [Theory]
    [InlineData("h.0.attn.bias")]
    [InlineData("transformer.h.0.attn.bias")]
    [InlineData("transformer.h.0.attn.masked_bias")]
    [InlineData("lm_head.weight")]
    public void Gpt2_leaves_masks_and_a_copy_of_its_embedding_out(string name)
    {
        using var model = Make("GPT2LMHeadModel", Gpt2);
        Assert.NotNull(model.Route(name).SkippedSince);
    }

    [Theory]
    [InlineData("model.layers.0.self_attn.rotary_emb.inv_freq")]
    [InlineData("model.layers.0.self_attn.rotary_emb.cos_cached")]
    [InlineData("model.layers.0.self_attn.rotary_emb.sin_cached")]
    [InlineData("model.rotary_emb.inv_freq")]
    public void Rotary_frequencies_are_left_out(string name)
    {
        using var model = Make("LlamaForCausalLM", ModelSample.Sizes);
        Assert.Equal("rotary frequencies are computed from the configuration", model.Route(name).SkippedSince);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("model")]
    [InlineData("model.layers")]
    [InlineData("model.layers.1.self_attn.q_proj.weight")]
    [InlineData("model.layers.00.self_attn.q_proj.weight")]
    [InlineData("model.layers.0.self_attn.q_proj")]
    [InlineData("model.layers.0.self_attn.q_proj.bias")]
    [InlineData("model.layers.0.self_attn.q_proj.weight.extra")]
    [InlineData("model.layers.0.mlp.q_proj.weight")]
    [InlineData("model.layers.0.self_attn.rotary_emb.scale")]
    [InlineData("model.layers.1.self_attn.rotary_emb.inv_freq")]
    [InlineData("model.layers.0.rotary_emb.inv_freq")]
    [InlineData("layers.0.self_attn.q_proj.weight")]
    [InlineData("lm_head.bias")]
    [InlineData("adapter.weight")]
    public void What_the_model_does_not_have_is_unknown(string name)
    {
        using var model = Make("LlamaForCausalLM", ModelSample.Sizes);
        Assert.True(model.Route(name).IsUnknown);
    }

    [Theory]
    [InlineData("8.w1.weight")]
    [InlineData("-1.w1.weight")]
    [InlineData("01.w1.weight")]
    [InlineData("0.w4.weight")]
    [InlineData("0.w1.bias")]
    [InlineData("w1.weight")]
    [InlineData("0.w1.weight.x")]
    [InlineData("99999999999.w1.weight")]
    public void Experts_that_there_are_not_are_unknown(string name)
    {
        using var model = Make("MixtralForCausalLM", ModelSample.Sizes);
        Assert.True(model.Route($"model.layers.0.block_sparse_moe.experts.{name}").IsUnknown);
    }

    [Theory]
    [InlineData("GPT2LMHeadModel", Gpt2, "h.1.attn.bias")]
    [InlineData("GPT2LMHeadModel", Gpt2, "h.0.mlp.bias")]
    [InlineData("GPT2LMHeadModel", Gpt2, "transformer.transformer.wte.weight")]
    [InlineData("Phi3ForCausalLM", ModelSample.Sizes, "model.layers.0.self_attn.q_proj.weight")]
    public void Other_families_have_other_names(string architecture, string fields, string name)
    {
        using var model = Make(architecture, fields);
        Assert.True(model.Route(name).IsUnknown);
    }

    [Fact]
    public void Two_names_of_one_parameter_have_one_target()
    {
        using var model = Make("GPT2LMHeadModel", Gpt2);
        Assert.Equal(model.Route("wte.weight").Targets.ToArray(), model.Route("transformer.wte.weight").Targets.ToArray());
    }

    [Fact]
    public void A_scale_without_a_parameter_is_left_out_with_one_warning()
    {
        var warnings = new RecordedWarnings();
        using var model = Make("LlamaForCausalLM", ModelSample.Sizes, context => context with { Warnings = new WarningLog(warnings) });
        Assert.Equal("the model has no parameter for a scale of the key and value cache", model.Route("model.layers.0.self_attn.k_proj.k_scale").SkippedSince);
        Assert.NotNull(model.Route("model.layers.0.self_attn.k_proj.k_scale").SkippedSince);
        Assert.Contains("'model.layers.0.self_attn.attn.k_scale'", Assert.Single(warnings.Texts), StringComparison.Ordinal);
        // Scales of weights are no business of the cache.
        Assert.True(model.Route("model.layers.0.self_attn.k_proj.weight_scale").IsUnknown);
    }

    [Fact]
    public void Scales_of_the_cache_go_where_a_quantisation_has_them()
    {
        using var model = Make("LlamaForCausalLM", ModelSample.Sizes, context => context with { Quantization = new CacheScales() });
        foreach (var name in new[] { "self_attn.k_proj.k_scale", "self_attn.qkv_proj.k_scale", "self_attn.k_scale", "self_attn.kv_scale", "self_attn.attn.k_scale" })
        {
            var route = model.Route($"model.layers.0.{name}");
            Assert.Equal((name, "model.layers.0.self_attn.attn.k_scale"), (name, Assert.Single(route.Targets).Parameter.Name));
        }

        Assert.Equal("model.layers.0.self_attn.attn.v_scale", Assert.Single(model.Route("model.layers.0.self_attn.v_proj.v_scale").Targets).Parameter.Name);
    }

    [Fact]
    public void Biases_that_gptq_writes_for_layers_without_are_looked_at()
    {
        var quantization = QuantizedLayers.Config("""{ "quant_method": "gptq", "bits": 4, "group_size": 8 }""");
        using var model = Make("LlamaForCausalLM", ModelSample.Sizes, context => context with { Quantization = quantization });
        var target = Assert.Single(model.Route("model.layers.0.self_attn.q_proj.bias").Targets);
        Assert.Equal(("q", false), (target.Shard.Part, target.Parameter.IsRequired));
        Assert.Equal("q", Assert.Single(model.Route("model.layers.0.self_attn.q_proj.qweight").Targets).Shard.Part);
        Assert.True(model.Route("model.layers.0.self_attn.x_proj.bias").IsUnknown);
        Assert.True(model.Route("model.norm.bias").IsUnknown);
    }

    [Fact]
    public void A_weight_of_the_wrong_shape_is_refused_with_both_names()
    {
        using var model = ModelInitializer.Initialize(ModelSample.Context(ModelSample.Config("LlamaForCausalLM", ModelSample.Sizes), 2, 1));
        const string Name = "model.layers.0.self_attn.k_proj.weight";
        using var weight = ModelSample.Unread(Name, new Shape(9, 32));
        var exception = Assert.Throws<ModelMismatchException>(() => ModelSample.Record(model.Route(Name).Targets[0], weight));
        Assert.Contains(Name, exception.Message, StringComparison.Ordinal);
        Assert.Contains("model.layers.0.self_attn.qkv_proj.weight", exception.Message, StringComparison.Ordinal);
        Assert.Contains("[9, 32]", exception.Message, StringComparison.Ordinal);
        Assert.Contains("[24, 32]", exception.Message, StringComparison.Ordinal);
        Assert.Contains("rank 1 of 2", exception.Message, StringComparison.Ordinal);
    }

    private static Module Make(string architecture, string fields, Func<ModelContext, ModelContext>? change = null)
    {
        var context = ModelSample.Context(ModelSample.Config(architecture, fields));
        return ModelInitializer.Initialize(change is null ? context : change(context));
    }

    private sealed class CacheScales : QuantizationConfig, IQuantizeMethod
    {
        public override string Name => "fp8";

        public override IQuantizeMethod? MethodFor(Module layer, string prefix) => layer is AttentionLayer ? this : null;

        public void CreateWeights(Module layer)
        {
            layer.Register("k_scale", new Parameter(DType.F32, Shape.Scalar));
            layer.Register("v_scale", new Parameter(DType.F32, Shape.Scalar));
        }

        public void ProcessWeightsAfterLoading(Module layer, Gpu.Device device)
        {
        }
    }
}
