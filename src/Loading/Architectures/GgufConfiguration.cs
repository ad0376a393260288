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
    /// caller: blocks have none.
    /// </remarks>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <exception cref="UnsupportedCheckpointException">The checkpoint is no GGUF, or of an architecture without a layout.</exception>
    /// <exception cref="InvalidCheckpointException">A size is no number, or there is no embedding.</exception>
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

        var root = new JsonObject { ["architectures"] = new JsonArray(ClassOf(architecture, header, checkpoint)), ["model_type"] = architecture };
        foreach (var (key, field) in architecture == "gpt2" ? Gpt2Fields : Fields)
        {
            if (header.TryGetInteger($"{architecture}.{key}", out var value))
            {
                root[field] = value;
            }
            else if (header.Metadata.ContainsKey($"{architecture}.{key}"))
            {
                throw new UnsupportedCheckpointException(
                    "models whose layers differ", checkpoint.Path, $"{architecture}.{key} is not one number for all layers, and the layouts here have one.", checkpoint.Format);
            }
        }

        if (!checkpoint.TryGetTensor("token_embd.weight", out var embedding))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ConfigInvalid, checkpoint.Path, "it has no tensor token_embd.weight, whose rows are the vocabulary.", checkpoint.Format);
        }

        root["vocab_size"] = embedding.Shape[0];
        root["tie_word_embeddings"] = !checkpoint.TryGetTensor("output.weight", out _);
        root["attention_bias"] = checkpoint.TryGetTensor("blk.0.attn_q.bias", out _);
        root["mlp_bias"] = checkpoint.TryGetTensor("blk.0.ffn_up.bias", out _);
        return ModelConfig.Parse(checkpoint.Path, JsonSerializer.SerializeToUtf8Bytes(root, (JsonSerializerOptions?)null));
    }

    private static string ClassOf(string architecture, GgufHeader header, Checkpoint checkpoint) => architecture switch
    {
        "llama" => header.TryGetInteger("llama.expert_count", out var experts) && experts > 0 ? "MixtralForCausalLM" : "LlamaForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        "gemma" => "GemmaForCausalLM",
        "phi3" => "Phi3ForCausalLM",
        "gpt2" => "GPT2LMHeadModel",
        _ => throw new UnsupportedCheckpointException(
            "architectures", checkpoint.Path, $"there is no layout for GGUF files of the architecture {Quoted.Name(architecture)}.", checkpoint.Format),
    };
}
