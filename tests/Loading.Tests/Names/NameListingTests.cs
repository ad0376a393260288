using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// Holds the reconstructed listings against the configurations that they were reconstructed from, by the formulas of the models'
/// definitions, and against total_size of indexes that were published.
/// </summary>
public sealed class NameListingTests
{
    public static TheoryData<string> Models => new(
        "TinyLlama-1.1B-Chat-v1.0",
        "Mistral-7B-v0.1",
        "Mixtral-8x7B-v0.1",
        "Mixtral-8x7B-v0.1-per-expert",
        "Qwen2-0.5B",
        "Qwen3-0.6B",
        "Qwen3-0.6B-with-output",
        "gemma-2b",
        "Phi-3-mini-4k-instruct",
        "gpt2",
        "gpt2-with-output");

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_shape_follows_from_the_configuration(string model)
    {
        var listing = NameListing.Read(model);
        var sizes = new Sizes(listing.Configuration);
        Assert.All(listing.Checkpoint, pair => Assert.Equal((pair.Key, new Shape(CheckpointShape(pair.Key, sizes))), (pair.Key, pair.Value)));
        Assert.All(listing.Gguf, pair => Assert.Equal((pair.Key, new Shape(GgufShape(pair.Key, sizes))), (pair.Key, pair.Value)));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_block_and_every_expert_is_there_and_alike(string model)
    {
        var listing = NameListing.Read(model);
        var sizes = new Sizes(listing.Configuration);
        foreach (var names in new[] { listing.Checkpoint.Keys, listing.Gguf.Select(pair => pair.Key) })
        {
            var numbers = names.Select(name => (Module: Module(name), Numbers: Numbers(name))).ToLookup(name => name.Module, name => name.Numbers);
            foreach (var module in numbers)
            {
                var placeholders = module.Key.Split('.').Count(part => part == "#");
                var expected =
                    from block in placeholders > 0 ? Range(sizes.Blocks) : ["-"]
                    from expert in placeholders > 1 ? Range(sizes.Experts) : ["-"]
                    select string.Join(',', new[] { block, expert }.Where(number => number != "-"));
                Assert.Equal(expected.Order(StringComparer.Ordinal), module.Order(StringComparer.Ordinal));
            }
        }

        static IEnumerable<string> Range(long count) => Enumerable.Range(0, (int)count).Select(i => $"{i}");
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void The_metadata_says_what_the_configuration_says(string model)
    {
        var listing = NameListing.Read(model);
        var sizes = new Sizes(listing.Configuration);
        Assert.Equal(sizes.Blocks, Metadata("block_count"));
        Assert.Equal(sizes.Hidden, Metadata("embedding_length"));
        Assert.Equal(sizes.Intermediate, Metadata("feed_forward_length"));
        Assert.Equal(sizes.Heads, Metadata("attention.head_count"));
        Assert.Equal(sizes.KeyValueHeads, Metadata("attention.head_count_kv") ?? sizes.Heads);
        Assert.Equal(sizes.Experts, Metadata("expert_count") ?? 0);

        long? Metadata(string key) => listing.Metadata.TryGetValue($"{listing.Architecture}.{key}", out var value) ? (uint)value : null;
    }

    // total_size of the indexes that the README of names.zip marks. The Mixtral has two more tokens, in embedding and output.
    [Theory]
    [InlineData("gemma-2b", 2, 5_012_344_832)]
    [InlineData("Phi-3-mini-4k-instruct", 2, 7_642_159_104)]
    [InlineData("Mistral-7B-v0.1", 4, 28_966_928_384)]
    [InlineData("Mixtral-8x7B-v0.1", 2, 93_405_618_176 - (2 * 2 * 4096 * 2))]
    public void All_tensors_are_as_many_bytes_as_a_published_index_says(string model, int bytesPerElement, long totalSize) =>
        Assert.Equal(totalSize, NameListing.Read(model).Checkpoint.Values.Sum(shape => shape.ElementCount) * bytesPerElement);

    private static long[] CheckpointShape(string name, Sizes s) => Module(name) switch
    {
        "model.embed_tokens.weight" or "lm_head.weight" or "wte.weight" => [s.Vocabulary, s.Hidden],
        "model.norm.weight" or "model.layers.#.input_layernorm.weight" or "model.layers.#.post_attention_layernorm.weight" => [s.Hidden],
        "model.layers.#.self_attn.q_proj.weight" => [s.Heads * s.Head, s.Hidden],
        "model.layers.#.self_attn.q_proj.bias" => [s.Heads * s.Head],
        "model.layers.#.self_attn.k_proj.weight" or "model.layers.#.self_attn.v_proj.weight" => [s.KeyValueHeads * s.Head, s.Hidden],
        "model.layers.#.self_attn.k_proj.bias" or "model.layers.#.self_attn.v_proj.bias" => [s.KeyValueHeads * s.Head],
        "model.layers.#.self_attn.qkv_proj.weight" => [(s.Heads + (2 * s.KeyValueHeads)) * s.Head, s.Hidden],
        "model.layers.#.self_attn.o_proj.weight" => [s.Hidden, s.Heads * s.Head],
        "model.layers.#.self_attn.q_norm.weight" or "model.layers.#.self_attn.k_norm.weight" => [s.Head],
        "model.layers.#.mlp.gate_proj.weight" or "model.layers.#.mlp.up_proj.weight" => [s.Intermediate, s.Hidden],
        "model.layers.#.mlp.gate_up_proj.weight" => [2 * s.Intermediate, s.Hidden],
        "model.layers.#.mlp.down_proj.weight" => [s.Hidden, s.Intermediate],
        "model.layers.#.block_sparse_moe.gate.weight" => [s.Experts, s.Hidden],
        "model.layers.#.block_sparse_moe.experts.#.w1.weight" or "model.layers.#.block_sparse_moe.experts.#.w3.weight" => [s.Intermediate, s.Hidden],
        "model.layers.#.block_sparse_moe.experts.#.w2.weight" => [s.Hidden, s.Intermediate],
        "wpe.weight" => [s.Positions, s.Hidden],
        "ln_f.weight" or "ln_f.bias" or "h.#.ln_1.weight" or "h.#.ln_1.bias" or "h.#.ln_2.weight" or "h.#.ln_2.bias" => [s.Hidden],
        "h.#.attn.bias" => [1, 1, s.Positions, s.Positions],
        // Conv1D of transformers: inputs before outputs.
        "h.#.attn.c_attn.weight" => [s.Hidden, 3 * s.Hidden],
        "h.#.attn.c_attn.bias" => [3 * s.Hidden],
        "h.#.attn.c_proj.weight" => [s.Hidden, s.Hidden],
        "h.#.mlp.c_fc.weight" => [s.Hidden, s.Intermediate],
        "h.#.mlp.c_fc.bias" => [s.Intermediate],
        "h.#.mlp.c_proj.weight" => [s.Intermediate, s.Hidden],
        "h.#.attn.c_proj.bias" or "h.#.mlp.c_proj.bias" => [s.Hidden],
        _ => throw new ArgumentException($"No formula for {name}.", nameof(name)),
    };

    private static long[] GgufShape(string name, Sizes s) => Module(name) switch
    {
        "token_embd.weight" or "output.weight" => [s.Vocabulary, s.Hidden],
        "position_embd.weight" => [s.Positions, s.Hidden],
        "output_norm.weight" or "output_norm.bias" => [s.Hidden],
        "blk.#.attn_norm.weight" or "blk.#.attn_norm.bias" or "blk.#.ffn_norm.weight" or "blk.#.ffn_norm.bias" => [s.Hidden],
        "blk.#.attn_q.weight" => [s.Heads * s.Head, s.Hidden],
        "blk.#.attn_q.bias" => [s.Heads * s.Head],
        "blk.#.attn_k.weight" or "blk.#.attn_v.weight" => [s.KeyValueHeads * s.Head, s.Hidden],
        "blk.#.attn_k.bias" or "blk.#.attn_v.bias" => [s.KeyValueHeads * s.Head],
        "blk.#.attn_qkv.weight" => [(s.Heads + (2 * s.KeyValueHeads)) * s.Head, s.Hidden],
        "blk.#.attn_qkv.bias" => [(s.Heads + (2 * s.KeyValueHeads)) * s.Head],
        "blk.#.attn_output.weight" => [s.Hidden, s.Heads * s.Head],
        "blk.#.attn_output.bias" or "blk.#.ffn_down.bias" => [s.Hidden],
        "blk.#.attn_q_norm.weight" or "blk.#.attn_k_norm.weight" => [s.Head],
        "blk.#.ffn_up.weight" when s.Type == "phi3" => [2 * s.Intermediate, s.Hidden],
        "blk.#.ffn_gate.weight" or "blk.#.ffn_up.weight" or "blk.#.ffn_gate.#.weight" or "blk.#.ffn_up.#.weight" => [s.Intermediate, s.Hidden],
        "blk.#.ffn_up.bias" => [s.Intermediate],
        "blk.#.ffn_down.weight" or "blk.#.ffn_down.#.weight" => [s.Hidden, s.Intermediate],
        "blk.#.ffn_gate_inp.weight" => [s.Experts, s.Hidden],
        "blk.#.ffn_gate_exps.weight" or "blk.#.ffn_up_exps.weight" => [s.Experts, s.Intermediate, s.Hidden],
        "blk.#.ffn_down_exps.weight" => [s.Experts, s.Hidden, s.Intermediate],
        _ => throw new ArgumentException($"No formula for {name}.", nameof(name)),
    };

    private static string Module(string name) => string.Join('.', name.Split('.').Select(part => part.All(char.IsAsciiDigit) ? "#" : part));

    private static string Numbers(string name) => string.Join(',', name.Split('.').Where(part => part.All(char.IsAsciiDigit)));

    /// <summary>The sizes that a config.json names, with transformers' defaults for those it leaves out.</summary>
    private sealed class Sizes(IReadOnlyDictionary<string, object> configuration)
    {
        public string Type => (string)configuration["model_type"];

        public long Blocks => Of("num_hidden_layers", "n_layer");

        public long Hidden => Of("hidden_size", "n_embd");

        public long Heads => Of("num_attention_heads", "n_head");

        public long KeyValueHeads => Has("num_key_value_heads") ? Of("num_key_value_heads") : Heads;

        public long Head => Has("head_dim") ? Of("head_dim") : Hidden / Heads;

        // GPT2Config.n_inner: four times the hidden size where it is not given.
        public long Intermediate => Has("intermediate_size") ? Of("intermediate_size") : 4 * Hidden;

        public long Vocabulary => Of("vocab_size");

        public long Positions => Of("n_positions");

        public long Experts => Has("num_local_experts") ? Of("num_local_experts") : 0;

        private bool Has(string name) => configuration.ContainsKey(name);

        private long Of(params string[] names) => (uint)configuration[names.Single(Has)];
    }
}
