using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The parameters of each family with one layer, in the order in which vLLM's modules of that name register them, and their shapes.</summary>
public sealed class ParameterOrderTests
{
    private const string Layer = "model.layers.0.";

    [Fact]
    public void Llama_has_packed_parameters_and_optional_biases()
    {
        Assert.Equal(
            [
                "model.embed_tokens.weight [128, 32]",
                Layer + "self_attn.qkv_proj.weight [48, 32]",
                Layer + "self_attn.o_proj.weight [32, 32]",
                Layer + "mlp.gate_up_proj.weight [96, 32]",
                Layer + "mlp.down_proj.weight [32, 48]",
                Layer + "input_layernorm.weight [32]",
                Layer + "post_attention_layernorm.weight [32]",
                "model.norm.weight [32]",
                "lm_head.weight [128, 32]",
            ],
            Parameters("LlamaForCausalLM"));
        Assert.Equal(
            [
                Layer + "self_attn.qkv_proj.bias [48]",
                Layer + "self_attn.o_proj.bias [32]",
                Layer + "mlp.gate_up_proj.bias [96]",
                Layer + "mlp.down_proj.bias [32]",
            ],
            Parameters("LlamaForCausalLM", ""","attention_bias": true, "mlp_bias": true""").Where(name => name.Contains(".bias", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("MistralForCausalLM")]
    [InlineData("GemmaForCausalLM", ""","head_dim": 4, "tie_word_embeddings": false""")]
    [InlineData("Phi3ForCausalLM")]
    public void Others_have_what_llama_has(string architecture, string more = "") =>
        Assert.Equal(Parameters("LlamaForCausalLM"), Parameters(architecture, more));

    [Fact]
    public void Qwen2_has_biases_at_queries_keys_and_values() =>
        Assert.Equal(
            Insert(Parameters("LlamaForCausalLM"), Layer + "self_attn.qkv_proj.weight [48, 32]", Layer + "self_attn.qkv_proj.bias [48]"), Parameters("Qwen2ForCausalLM"));

    [Fact]
    public void Qwen3_has_norms_behind_the_projections() =>
        Assert.Equal(
            Insert(
                Parameters("LlamaForCausalLM"), Layer + "self_attn.o_proj.weight [32, 32]", Layer + "self_attn.q_norm.weight [4]", Layer + "self_attn.k_norm.weight [4]"),
            Parameters("Qwen3ForCausalLM", ""","head_dim": 4"""));

    [Fact]
    public void Mixtral_has_all_experts_in_two_parameters() =>
        Assert.Equal(
            [
                "model.embed_tokens.weight [128, 32]",
                Layer + "self_attn.qkv_proj.weight [48, 32]",
                Layer + "self_attn.o_proj.weight [32, 32]",
                Layer + "block_sparse_moe.gate.weight [3, 32]",
                Layer + "block_sparse_moe.experts.w13_weight [3, 96, 32]",
                Layer + "block_sparse_moe.experts.w2_weight [3, 32, 48]",
                Layer + "input_layernorm.weight [32]",
                Layer + "post_attention_layernorm.weight [32]",
                "model.norm.weight [32]",
                "lm_head.weight [128, 32]",
            ],
            Parameters("MixtralForCausalLM", ""","num_local_experts": 3"""));

    [Fact]
    public void Gpt2_has_its_outputs_first_and_a_tied_head()
    {
        using var model = ModelInitializer.Initialize(ModelSample.Context(
            ModelSample.Config("GPT2LMHeadModel", """ "n_embd": 32, "n_layer": 1, "n_head": 8, "n_positions": 16, "vocab_size": 100 """)));
        Assert.Equal(
            [
                "transformer.wte.weight [128, 32]",
                "transformer.wpe.weight [16, 32]",
                "transformer.h.0.ln_1.weight [32]",
                "transformer.h.0.ln_1.bias [32]",
                "transformer.h.0.attn.c_attn.weight [96, 32]",
                "transformer.h.0.attn.c_attn.bias [96]",
                "transformer.h.0.attn.c_proj.weight [32, 32]",
                "transformer.h.0.attn.c_proj.bias [32]",
                "transformer.h.0.ln_2.weight [32]",
                "transformer.h.0.ln_2.bias [32]",
                "transformer.h.0.mlp.c_fc.weight [128, 32]",
                "transformer.h.0.mlp.c_fc.bias [128]",
                "transformer.h.0.mlp.c_proj.weight [32, 128]",
                "transformer.h.0.mlp.c_proj.bias [32]",
                "transformer.ln_f.weight [32]",
                "transformer.ln_f.bias [32]",
            ],
            ModelSample.Describe(model));
        Assert.True(model.TryGetParameter("lm_head.weight", out var head));
        Assert.Same(model.NamedParameters().First().Parameter, head);
    }

    [Theory]
    [InlineData("LlamaForCausalLM", ""","tie_word_embeddings": true""", true)]
    [InlineData("LlamaForCausalLM", "", false)]
    [InlineData("MistralForCausalLM", "", false)]
    [InlineData("MixtralForCausalLM", "", false)]
    [InlineData("Qwen2ForCausalLM", "", false)]
    [InlineData("Qwen3ForCausalLM", "", false)]
    [InlineData("Phi3ForCausalLM", "", false)]
    [InlineData("GemmaForCausalLM", "", true)]
    [InlineData("GemmaForCausalLM", ""","tie_word_embeddings": false""", false)]
    [InlineData("GemmaForCausalLM", ""","tie_word_embeddings": null""", true)]
    public void The_head_is_the_embedding_where_the_configuration_or_the_family_says_so(string architecture, string more, bool isTied)
    {
        using var model = ModelInitializer.Initialize(ModelSample.Context(ModelSample.Config(architecture, ModelSample.Sizes + more)));
        Assert.True(model.TryGetParameter("model.embed_tokens.weight", out var embedding));
        Assert.True(model.TryGetParameter("lm_head.weight", out var head));
        Assert.Equal(isTied, ReferenceEquals(embedding, head));
        Assert.Equal(!isTied, model.NamedParameters().Any(entry => entry.Name == "lm_head.weight"));
        var route = model.Route("lm_head.weight");
        Assert.Equal(isTied ? "the output head is tied to the embedding" : null, route.SkippedSince);
        Assert.Equal(isTied ? [] : [head], route.Targets.Select(target => target.Parameter));
    }

    private static string[] Parameters(string architecture, string more = "")
    {
        using var model = ModelInitializer.Initialize(ModelSample.Context(ModelSample.Config(architecture, ModelSample.Sizes + more)));
        Assert.All(model.NamedParameters(), entry => Assert.Equal(entry.Name, entry.Parameter.Name));
        return [.. ModelSample.Describe(model)];
    }

    private static IEnumerable<string> Insert(string[] names, string behind, params string[] more)
    {
        var at = Array.IndexOf(names, behind) + 1;
        return [.. names[..at], .. more, .. names[at..]];
    }
}
