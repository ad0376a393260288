using System.Text.Json;
using System.Text.Json.Nodes;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;

namespace IlgpuLoader.Loading;

/// <summary>The configuration that a GGUF file has in its metadata, as transformers would write it: for models whose <c>config.json</c> is not there.</summary>
public static class GgufConfiguration
{
    // llama.cpp's keys (gguf-py, constants.py), each behind the architecture and a dot, and transformers' fields; GPT-2's are called otherwise.
    private static readonly (string Key, string Field)[] Fields =
    [
        ("block_count", "num_hidden_layers"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("expert_count", "num_local_experts"),
        ("expert_used_count", "num_experts_per_tok"),
    ];

    private static readonly (string Key, string Field)[] Gpt2Fields =
    [
        ("block_count", "n_layer"),
        ("embedding_length", "n_embd"),
        ("feed_forward_length", "n_inner"),
        ("attention.head_count", "n_head"),
        ("context_length", "n_positions"),
    ];

    /// <summary>Makes the configuration of a GGUF checkpoint.</summary>
    /// <remarks>
    /// Sizes are the metadata's, the vocabulary is that of the embedding; whether the output is tied and layers have biases is told by the tensors that are there. The dtype is left to the
    /// caller: blocks have none. What the file does not say is left out, and a size that is not one number for all layers is a text that says so: whether that is an error is for the layout to say that
    /// has a use for it. An architecture without a native layout is listed by its own name, so that the generic one can be taken.
    /// </remarks>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <exception cref="UnsupportedCheckpointException">The checkpoint is no GGUF, or does not say what architecture it is of.</exception>
    public static ModelConfig Of(Checkpoint checkpoint)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        if (checkpoint.Files[0].Header is not GgufHeader { Architecture: { } architecture } header)
        {
            throw new UnsupportedCheckpointException(
                "models without a configuration",
                checkpoint.Path,
                "there is no config.json beside the weights, and no metadata of a GGUF file that says what the model is; name the folder that has the configuration.",
                checkpoint.Format);
        }

        var root = new JsonObject { ["architectures"] = new JsonArray(ClassOf(architecture, header)), ["model_type"] = architecture };
        foreach (var (key, field) in architecture == "gpt2" ? Gpt2Fields : Fields)
        {
            if (header.TryGetInteger($"{architecture}.{key}", out var value))
            {
                root[field] = value;
            }
            else if (header.Metadata.ContainsKey($"{architecture}.{key}"))
            {
                // Where a number is expected; the message about it will have this text.
                root[field] = $"{architecture}.{key} is not one number for all layers";
            }
        }

        AddDefaults(root);
        if (checkpoint.TryGetTensor("token_embd.weight", out var embedding) && embedding.Shape.Rank > 0)
        {
            root["vocab_size"] = embedding.Shape[0];
        }

        root["tie_word_embeddings"] = !checkpoint.TryGetTensor("output.weight", out _);
        root["attention_bias"] = checkpoint.TryGetTensor("blk.0.attn_q.bias", out _);
        root["mlp_bias"] = checkpoint.TryGetTensor("blk.0.ffn_up.bias", out _);
        return ModelConfig.Parse(checkpoint.Path, JsonSerializer.SerializeToUtf8Bytes(root, (JsonSerializerOptions?)null));
    }

    // llama.cpp's, where a key is missing: transformers has others.
    private static void AddDefaults(JsonObject root)
    {
        if (root["num_attention_heads"] is JsonValue heads && heads.TryGetValue(out long count) && count > 0)
        {
            root["num_key_value_heads"] ??= count;
            if (root["hidden_size"] is JsonValue hidden && hidden.TryGetValue(out long width))
            {
                root["head_dim"] ??= width / count;
            }
        }
    }

    private static string ClassOf(string architecture, GgufHeader header) => architecture switch
    {
        "llama" => header.TryGetInteger("llama.expert_count", out var experts) && experts > 0 ? "MixtralForCausalLM" : "LlamaForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        "gemma" => "GemmaForCausalLM",
        "phi3" => "Phi3ForCausalLM",
        "gpt2" => "GPT2LMHeadModel",
        _ => architecture,
    };
}
