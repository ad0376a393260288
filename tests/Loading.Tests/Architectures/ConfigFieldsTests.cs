using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ConfigFieldsTests
{
    [Theory]
    [InlineData("LlamaForCausalLM", "hidden_size")]
    [InlineData("LlamaForCausalLM", "num_hidden_layers")]
    [InlineData("LlamaForCausalLM", "num_attention_heads")]
    [InlineData("LlamaForCausalLM", "intermediate_size")]
    [InlineData("LlamaForCausalLM", "vocab_size")]
    [InlineData("MixtralForCausalLM", "intermediate_size")]
    [InlineData("GPT2LMHeadModel", "n_embd")]
    [InlineData("GPT2LMHeadModel", "n_head")]
    [InlineData("GPT2LMHeadModel", "n_layer")]
    [InlineData("GPT2LMHeadModel", "n_positions")]
    [InlineData("GPT2LMHeadModel", "vocab_size")]
    public void A_field_that_is_missing_is_named_with_its_file(string architecture, string field)
    {
        var fields = architecture[0] == 'G' ? """ "n_embd": 32, "n_layer": 1, "n_head": 8, "n_positions": 16, "vocab_size": 100 """ : ModelSample.Sizes;
        foreach (var (change, problem) in new[] { ($"\"not_{field}\":", "it is missing"), ($"\"{field}\": null, \"x\":", "it is null") })
        {
            var exception = Assert.Throws<InvalidCheckpointException>(() => Make(architecture, fields.Replace($"\"{field}\":", change, StringComparison.Ordinal)));
            Assert.Equal((CheckpointErrorCode.ConfigInvalid, "config.json"), (exception.Code, exception.File));
            Assert.StartsWith($"{field}: {problem}, and the shapes of '{architecture}' follow from it", exception.Problem, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("hidden_size", "\"32\"")]
    [InlineData("hidden_size", "0")]
    [InlineData("hidden_size", "-1")]
    [InlineData("hidden_size", "1.5")]
    [InlineData("hidden_size", "8388609")]
    [InlineData("hidden_size", "99999999999999999999")]
    [InlineData("num_key_value_heads", "true")]
    [InlineData("head_dim", "[4]")]
    public void A_number_that_is_none_is_refused(string field, string value)
    {
        var exception = Assert.Throws<InvalidCheckpointException>(() => Make("LlamaForCausalLM", $"\"{field}\": {value}, {Without(field)}"));
        Assert.Equal($"{field}: it is '{value}'; a number from 1 to 8388608 is expected.", exception.Problem);
    }

    [Theory]
    [InlineData("tie_word_embeddings", "1")]
    [InlineData("attention_bias", "\"yes\"")]
    [InlineData("mlp_bias", "{}")]
    public void A_flag_that_is_none_is_refused(string field, string value)
    {
        var exception = Assert.Throws<InvalidCheckpointException>(() => Make("LlamaForCausalLM", $"{ModelSample.Sizes}, \"{field}\": {value}"));
        Assert.Equal($"{field}: it is '{value}'; true or false is expected.", exception.Problem);
    }

    [Fact]
    public void Numbers_beyond_any_model_build_nothing()
    {
        Assert.Contains("num_hidden_layers is 65537, and models of at most 65536 are built", Refused(Of(32, 65537, 8, 2)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "num_local_experts is 4097, and models of at most 4096 are built",
            Assert.Throws<UnsupportedCheckpointException>(() => Make("MixtralForCausalLM", ModelSample.Sizes + """, "num_local_experts": 4097""")).Message,
            StringComparison.Ordinal);
        var heads = Assert.Throws<InvalidCheckpointException>(() => Make("LlamaForCausalLM", Of(32, 1, 1 << 20, 2) + ", \"head_dim\": 128"));
        Assert.Equal("num_attention_heads: 1048576 heads and 2 key and value heads of 128 features are more than any model has.", heads.Problem);

        static UnsupportedCheckpointException Refused(string fields) => Assert.Throws<UnsupportedCheckpointException>(() => Make("LlamaForCausalLM", fields));
    }

    [Fact]
    public void A_hidden_size_that_heads_do_not_divide_needs_the_size_of_a_head()
    {
        var exception = Assert.Throws<InvalidCheckpointException>(() => Make("LlamaForCausalLM", Of(30, 1, 8, 2)));
        Assert.Equal("hidden_size: 30 is no multiple of num_attention_heads, 8, and there is no head_dim, so that the size of a head is not known.", exception.Problem);
        Assert.Contains("model.layers.0.self_attn.qkv_proj.weight [60, 30]", Make("LlamaForCausalLM", Of(30, 1, 8, 2) + ", \"head_dim\": 5"));
        exception = Assert.Throws<InvalidCheckpointException>(
            () => Make("GPT2LMHeadModel", """ "n_embd": 30, "n_layer": 1, "n_head": 8, "n_positions": 16, "vocab_size": 100 """));
        Assert.Equal("n_embd: 30 is no multiple of n_head, 8, so that the size of a head is not known.", exception.Problem);
    }

    // Queries are 32 features; keys and values follow. The defaults of the classes of transformers that read the file.
    [Theory]
    [InlineData("LlamaForCausalLM", "", 32 + (2 * 32))]
    [InlineData("LlamaForCausalLM", ", \"num_key_value_heads\": null", 32 + (2 * 32))]
    [InlineData("LlamaForCausalLM", ", \"head_dim\": null", 32 + (2 * 32))]
    [InlineData("MistralForCausalLM", "", 32 + (2 * 8 * 4))]
    [InlineData("MixtralForCausalLM", "", 32 + (2 * 8 * 4))]
    [InlineData("Qwen2ForCausalLM", "", 32 + (2 * 32 * 4))]
    [InlineData("Qwen2ForCausalLM", ", \"num_key_value_heads\": null", 32 + (2 * 32))]
    [InlineData("Qwen2ForCausalLM", ", \"head_dim\": 2, \"num_key_value_heads\": 4", (8 + (2 * 4)) * 2)]
    [InlineData("Phi3ForCausalLM", ", \"head_dim\": 2, \"num_key_value_heads\": 4", (8 + (2 * 4)) * 2)]
    [InlineData("Qwen3ForCausalLM", "", (8 + (2 * 32)) * 128)]
    [InlineData("Qwen3ForCausalLM", ", \"head_dim\": null", 32 + (2 * 32 * 4))]
    [InlineData("GemmaForCausalLM", "", (8 + (2 * 16)) * 256)]
    [InlineData("Phi3ForCausalLM", "", 32 + (2 * 32))]
    public void A_missing_field_has_the_default_of_transformers(string architecture, string more, long outputs)
    {
        const string Fields = """ "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 8, "intermediate_size": 48, "vocab_size": 100 """;
        Assert.Contains($"model.layers.0.self_attn.qkv_proj.weight [{outputs}, 32]", Make(architecture, Fields + more));
    }

    [Fact]
    public void A_feed_forward_network_of_gpt2_is_four_times_as_wide_unless_it_says()
    {
        const string Fields = """ "n_embd": 32, "n_layer": 1, "n_head": 8, "n_positions": 16, "vocab_size": 100 """;
        Assert.Contains("transformer.h.0.mlp.c_fc.weight [128, 32]", Make("GPT2LMHeadModel", Fields + ", \"n_inner\": null"));
        Assert.Contains("transformer.h.0.mlp.c_fc.weight [40, 32]", Make("GPT2LMHeadModel", Fields + ", \"n_inner\": 40"));
        Assert.Contains("lm_head.weight [128, 32]", Make("GPT2LMHeadModel", Fields + ", \"tie_word_embeddings\": false"));
    }

    [Theory]
    [InlineData("LlamaForCausalLM", 16, "8 heads (num_attention_heads) cannot be split evenly over 16 tensor-parallel ranks")]
    [InlineData("LlamaForCausalLM", 3, "8 heads (num_attention_heads) cannot be split evenly over 3 tensor-parallel ranks")]
    [InlineData("Qwen3ForCausalLM", 5, "8 heads (num_attention_heads) cannot be split evenly over 5 tensor-parallel ranks")]
    public void Ranks_that_cannot_share_the_heads_are_refused(string architecture, int world, string expected)
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => Make(architecture, ModelSample.Sizes, world));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Key_and_value_heads_and_features_are_held_against_the_ranks_too()
    {
        var heads = Assert.Throws<UnsupportedCheckpointException>(() => Make("LlamaForCausalLM", Of(48, 1, 12, 3), 4));
        Assert.Contains("3 key and value heads (num_key_value_heads) cannot be repeated equally often over 4", heads.Message, StringComparison.Ordinal);
        var features = Assert.Throws<UnsupportedCheckpointException>(
            () => Make("LlamaForCausalLM", Of(32, 1, 8, 2).Replace("48", "49", StringComparison.Ordinal), 2));
        Assert.Contains("49 features (intermediate_size) cannot be split evenly over 2", features.Message, StringComparison.Ordinal);
        var inner = Assert.Throws<UnsupportedCheckpointException>(
            () => Make("GPT2LMHeadModel", """ "n_embd": 32, "n_layer": 1, "n_head": 8, "n_positions": 16, "vocab_size": 100, "n_inner": 41""", 2));
        Assert.Contains("41 features (n_inner, by default four times n_embd) cannot be split evenly over 2", inner.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, 2)]
    [InlineData(2, -1)]
    [InlineData(0, 0)]
    public void A_rank_that_there_is_not_is_refused(int world, int rank) =>
        Assert.Throws<ArgumentException>(() => ModelInitializer.Initialize(ModelSample.Context(ModelSample.Config("LlamaForCausalLM", ModelSample.Sizes), world, rank)));

    private static string Of(int hidden, int layers, int heads, int keyValueHeads) =>
        $"\"hidden_size\": {hidden}, \"num_hidden_layers\": {layers}, \"num_attention_heads\": {heads}, \"num_key_value_heads\": {keyValueHeads}, "
        + "\"intermediate_size\": 48, \"vocab_size\": 100";

    private static string Without(string field) => ModelSample.Sizes.Replace($"\"{field}\":", "\"x\":", StringComparison.Ordinal);

    private static string[] Make(string architecture, string fields, int world = 1)
    {
        using var model = ModelInitializer.Initialize(ModelSample.Context(ModelSample.Config(architecture, fields), world));
        return [.. ModelSample.Describe(model)];
    }
}
