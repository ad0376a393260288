using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// The names of every architecture that has a built-in map: llama.cpp's tensor names, and transformers' as the checkpoints of
/// the models have them.
/// </summary>
/// <remarks>To add an architecture, add an element; to check it, add a model's listing to <c>names.zip</c> of the tests.</remarks>
internal static class ArchitectureTable
{
    private static readonly NameTie TiedToEmbedding = new("lm_head.weight", "{model}embed_tokens.weight");

    // Llama 3.1 and Phi-3 of long contexts: factors computed from rope_scaling of the configuration.
    private static readonly ImmutableArray<string> RotaryFactors = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

    // Saved by older versions of transformers, computed from rope_theta.
    private static readonly ImmutableArray<string> RotaryBuffers = ["{model}layers.{block}.self_attn.rotary_emb.inv_freq"];

    /// <summary>The architectures.</summary>
    public static ImmutableArray<ArchitectureNames> All { get; } =
    [
        // Llama, Mistral and Mixtral: converters give all three this key.
        new(
            "llama",
            "model.",
            [
                new("token_embd", "{model}embed_tokens"),
                new("output_norm", "{model}norm"),
                new("output", "lm_head"),
                new("blk.{block}.attn_norm", "{model}layers.{block}.input_layernorm"),
                new("blk.{block}.attn_q", "{model}layers.{block}.self_attn.q_proj", RowTransform.UnpermuteHeads, RowTransform.UnpermuteHeads),
                new("blk.{block}.attn_k", "{model}layers.{block}.self_attn.k_proj", RowTransform.UnpermuteKeyValueHeads, RowTransform.UnpermuteKeyValueHeads),
                new("blk.{block}.attn_v", "{model}layers.{block}.self_attn.v_proj"),
                new("blk.{block}.attn_output", "{model}layers.{block}.self_attn.o_proj"),
                new("blk.{block}.ffn_norm", "{model}layers.{block}.post_attention_layernorm"),
                new("blk.{block}.ffn_gate", "{model}layers.{block}.mlp.gate_proj"),
                new("blk.{block}.ffn_up", "{model}layers.{block}.mlp.up_proj"),
                new("blk.{block}.ffn_down", "{model}layers.{block}.mlp.down_proj"),
                new("blk.{block}.ffn_gate_inp", "{model}layers.{block}.block_sparse_moe.gate"),
                new(
                    "blk.{block}.ffn_gate_exps",
                    "{model}layers.{block}.block_sparse_moe.experts.{expert}.w1",
                    RowTransform.SplitExperts,
                    RowTransform.SplitExperts),
                new(
                    "blk.{block}.ffn_up_exps",
                    "{model}layers.{block}.block_sparse_moe.experts.{expert}.w3",
                    RowTransform.SplitExperts,
                    RowTransform.SplitExperts),
                new(
                    "blk.{block}.ffn_down_exps",
                    "{model}layers.{block}.block_sparse_moe.experts.{expert}.w2",
                    RowTransform.SplitExperts,
                    RowTransform.SplitExperts),
                // One tensor an expert, until April 2024.
                new("blk.{block}.ffn_gate.{expert}", "{model}layers.{block}.block_sparse_moe.experts.{expert}.w1", IsOlder: true),
                new("blk.{block}.ffn_up.{expert}", "{model}layers.{block}.block_sparse_moe.experts.{expert}.w3", IsOlder: true),
                new("blk.{block}.ffn_down.{expert}", "{model}layers.{block}.block_sparse_moe.experts.{expert}.w2", IsOlder: true),
            ],
            // attn_rot_embd: inv_freq in the first GGUFs; readers skip it.
            [.. RotaryFactors, "blk.{block}.attn_rot_embd.weight"],
            RotaryBuffers,
            TiedToEmbedding),
        new(
            "qwen2",
            "model.",
            [
                new("token_embd", "{model}embed_tokens"),
                new("output_norm", "{model}norm"),
                new("output", "lm_head"),
                new("blk.{block}.attn_norm", "{model}layers.{block}.input_layernorm"),
                new("blk.{block}.attn_q", "{model}layers.{block}.self_attn.q_proj"),
                new("blk.{block}.attn_k", "{model}layers.{block}.self_attn.k_proj"),
                new("blk.{block}.attn_v", "{model}layers.{block}.self_attn.v_proj"),
                new("blk.{block}.attn_output", "{model}layers.{block}.self_attn.o_proj"),
                new("blk.{block}.ffn_norm", "{model}layers.{block}.post_attention_layernorm"),
                new("blk.{block}.ffn_gate", "{model}layers.{block}.mlp.gate_proj"),
                new("blk.{block}.ffn_up", "{model}layers.{block}.mlp.up_proj"),
                new("blk.{block}.ffn_down", "{model}layers.{block}.mlp.down_proj"),
            ],
            RotaryFactors,
            RotaryBuffers,
            TiedToEmbedding),
        new(
            "qwen3",
            "model.",
            [
                new("token_embd", "{model}embed_tokens"),
                new("output_norm", "{model}norm"),
                new("output", "lm_head"),
                new("blk.{block}.attn_norm", "{model}layers.{block}.input_layernorm"),
                new("blk.{block}.attn_q", "{model}layers.{block}.self_attn.q_proj"),
                new("blk.{block}.attn_q_norm", "{model}layers.{block}.self_attn.q_norm"),
                new("blk.{block}.attn_k", "{model}layers.{block}.self_attn.k_proj"),
                new("blk.{block}.attn_k_norm", "{model}layers.{block}.self_attn.k_norm"),
                new("blk.{block}.attn_v", "{model}layers.{block}.self_attn.v_proj"),
                new("blk.{block}.attn_output", "{model}layers.{block}.self_attn.o_proj"),
                new("blk.{block}.ffn_norm", "{model}layers.{block}.post_attention_layernorm"),
                new("blk.{block}.ffn_gate", "{model}layers.{block}.mlp.gate_proj"),
                new("blk.{block}.ffn_up", "{model}layers.{block}.mlp.up_proj"),
                new("blk.{block}.ffn_down", "{model}layers.{block}.mlp.down_proj"),
            ],
            RotaryFactors,
            RotaryBuffers,
            TiedToEmbedding),
        new(
            "gemma",
            "model.",
            [
                new("token_embd", "{model}embed_tokens"),
                new("output_norm", "{model}norm", RowTransform.MinusOne),
                new("output", "lm_head"),
                new("blk.{block}.attn_norm", "{model}layers.{block}.input_layernorm", RowTransform.MinusOne),
                new("blk.{block}.attn_q", "{model}layers.{block}.self_attn.q_proj"),
                new("blk.{block}.attn_k", "{model}layers.{block}.self_attn.k_proj"),
                new("blk.{block}.attn_v", "{model}layers.{block}.self_attn.v_proj"),
                new("blk.{block}.attn_output", "{model}layers.{block}.self_attn.o_proj"),
                new("blk.{block}.ffn_norm", "{model}layers.{block}.post_attention_layernorm", RowTransform.MinusOne),
                new("blk.{block}.ffn_gate", "{model}layers.{block}.mlp.gate_proj"),
                new("blk.{block}.ffn_up", "{model}layers.{block}.mlp.up_proj"),
                new("blk.{block}.ffn_down", "{model}layers.{block}.mlp.down_proj"),
            ],
            [],
            RotaryBuffers,
            TiedToEmbedding),
        new(
            "phi3",
            "model.",
            [
                new("token_embd", "{model}embed_tokens"),
                new("output_norm", "{model}norm"),
                new("output", "lm_head"),
                new("blk.{block}.attn_norm", "{model}layers.{block}.input_layernorm"),
                new("blk.{block}.attn_qkv", "{model}layers.{block}.self_attn.qkv_proj"),
                new("blk.{block}.attn_output", "{model}layers.{block}.self_attn.o_proj"),
                new("blk.{block}.ffn_norm", "{model}layers.{block}.post_attention_layernorm"),
                // Gate above up, in one tensor on both sides.
                new("blk.{block}.ffn_up", "{model}layers.{block}.mlp.gate_up_proj"),
                new("blk.{block}.ffn_down", "{model}layers.{block}.mlp.down_proj"),
            ],
            RotaryFactors,
            RotaryBuffers,
            TiedToEmbedding),
        new(
            "gpt2",
            // As in the published gpt2 to gpt2-xl; models saved with their head have "transformer.".
            "",
            [
                new("token_embd", "{model}wte"),
                new("position_embd", "{model}wpe"),
                new("output_norm", "{model}ln_f"),
                // A copy of the embedding, which older converters wrote.
                new("output", "lm_head"),
                new("blk.{block}.attn_norm", "{model}h.{block}.ln_1"),
                new("blk.{block}.attn_qkv", "{model}h.{block}.attn.c_attn", RowTransform.Transpose),
                new("blk.{block}.attn_output", "{model}h.{block}.attn.c_proj", RowTransform.Transpose),
                new("blk.{block}.ffn_norm", "{model}h.{block}.ln_2"),
                new("blk.{block}.ffn_up", "{model}h.{block}.mlp.c_fc", RowTransform.Transpose),
                new("blk.{block}.ffn_down", "{model}h.{block}.mlp.c_proj", RowTransform.Transpose),
            ],
            [],
            // The causal mask and the value it masks with.
            ["{model}h.{block}.attn.bias", "{model}h.{block}.attn.masked_bias"],
            new("lm_head.weight", "{model}wte.weight")),
    ];
}
