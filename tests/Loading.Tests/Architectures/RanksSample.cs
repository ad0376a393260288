using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Checkpoints of two layers of random weights of each family, in several formats, with as many heads as eight ranks share.</summary>
internal static class RanksSample
{
    public const int Heads = 8;
    public const int KeyValueHeads = 4;
    public const int Wide = 352;

    private const int Hidden = 256;
    private const int Vocabulary = 100;
    private const int Experts = 4;

    /// <summary>The configuration's fields of every family.</summary>
    public const string Fields =
        """
        "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "intermediate_size": 352, "vocab_size": 100, "n_embd": 256, "n_layer": 2, "n_head": 8, "n_inner": 352,
        "n_positions": 64, "num_local_experts": 4, "attention_bias": true
        """;

    /// <summary>The configuration of a family.</summary>
    public static ModelConfig ConfigOf(string architecture) => ModelSample.Config(
        architecture, $"{Fields}, \"head_dim\": {HeadSizeOf(architecture)}, \"tie_word_embeddings\": {(architecture is "GPT2LMHeadModel" or "GemmaForCausalLM" ? "true" : "false")}");

    /// <summary>A Llama of one layer, whose vocabulary is padded to other numbers on three, five, six and seven ranks.</summary>
    /// <param name="heads">The heads, of four features each.</param>
    /// <param name="keyValueHeads">The heads of keys and values.</param>
    /// <param name="wide">Half the features of the feed-forward network.</param>
    /// <param name="isTied">Whether the head is the embedding.</param>
    public static (Sample Sample, ModelConfig Config) LlamaOf(int heads, int keyValueHeads, int wide, bool isTied)
    {
        const int vocabulary = 131;
        var hidden = heads * 4;
        var names = new List<(string, DType, long[])> { ("model.embed_tokens.weight", DType.BF16, [vocabulary, hidden]), ("model.norm.weight", DType.BF16, [hidden]) };
        if (!isTied)
        {
            names.Add(("lm_head.weight", DType.BF16, [vocabulary, hidden]));
        }

        foreach (var (name, shape) in ((string, long[])[])
        [
            ("input_layernorm", [hidden]), ("post_attention_layernorm", [hidden]),
            ("self_attn.q_proj", [hidden, hidden]), ("self_attn.k_proj", [keyValueHeads * 4, hidden]), ("self_attn.v_proj", [keyValueHeads * 4, hidden]), ("self_attn.o_proj", [hidden, hidden]),
            ("mlp.gate_proj", [wide * 2, hidden]), ("mlp.up_proj", [wide * 2, hidden]), ("mlp.down_proj", [hidden, wide * 2]),
        ])
        {
            names.Add(($"model.layers.0.{name}.weight", DType.BF16, shape));
        }

        return (Sample.Make(3, names), ModelSample.Config(
            "LlamaForCausalLM",
            string.Create(CultureInfo.InvariantCulture, $"""
            "hidden_size": {hidden}, "num_hidden_layers": 1, "num_attention_heads": {heads}, "num_key_value_heads": {keyValueHeads}, "intermediate_size": {wide * 2}, "vocab_size": {vocabulary}, "tie_word_embeddings": {(isTied ? "true" : "false")}
            """)));
    }

    /// <summary>A safetensors checkpoint of weights of two layers.</summary>
    /// <param name="architecture">The family.</param>
    /// <param name="seed">What the weights are made of.</param>
    /// <param name="chosen">Which are there; null for all.</param>
    /// <param name="extra">Further tensors.</param>
    public static Sample SampleOf(string architecture, int seed, Func<string, bool>? chosen = null, params (string Name, DType DType, long[] Shape)[] extra) =>
        Sample.Make(seed, [.. Tensors(architecture).Where(tensor => chosen?.Invoke(tensor.Name) is not false), .. extra]);

    /// <summary>The same with finite values, below 2.</summary>
    public static Sample FiniteOf(string architecture, int seed)
    {
        var file = SampleOf(architecture, seed).File;
        foreach (ref var value in MemoryMarshal.Cast<byte, ushort>(file.AsSpan(8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(file))))
        {
            value &= 0xBFFF;
        }

        return Sample.Of(file);
    }

    /// <summary>The features of a head: of Gemma more than the hidden size over the heads, since the field is its own.</summary>
    public static int HeadSizeOf(string architecture) => architecture == "GemmaForCausalLM" ? 64 : 32;

    /// <summary>Opens a checkpoint of random weights of two layers.</summary>
    public static async Task<Checkpoint> OpenAsync(string architecture, string format, TemporaryFolder folder)
    {
        if (format == "gguf")
        {
            return await Gguf(architecture).OpenAsync();
        }

        var sample = Sample.Make(7, Tensors(architecture));
        if (format == "safetensors")
        {
            return await sample.OpenAsync();
        }

        var file = folder["model.pt"];
        await using (var checkpoint = await sample.OpenAsync())
        {
            await CheckpointConverter.ConvertAsync(checkpoint, file);
        }

        return await Checkpoint.OpenAsync(file);
    }

    private static IEnumerable<(string Name, DType DType, long[] Shape)> Tensors(string architecture)
    {
        var (prefix, norm) = architecture == "GPT2LMHeadModel" ? ("", "ln_f") : ("model.", "model.norm");
        var names = new List<(string, long[])>();
        if (architecture == "GPT2LMHeadModel")
        {
            names.AddRange([("wte.weight", [Vocabulary, Hidden]), ("wpe.weight", [64, Hidden]), ("ln_f.weight", [Hidden]), ("ln_f.bias", [Hidden])]);
        }
        else
        {
            names.AddRange([("model.embed_tokens.weight", [Vocabulary, Hidden]), ($"{norm}.weight", [Hidden])]);
            if (architecture != "GemmaForCausalLM")
            {
                names.Add(("lm_head.weight", [Vocabulary, Hidden]));
            }
        }

        for (var layer = 0; layer < 2; layer++)
        {
            names.AddRange(Layer(architecture).Select(tensor => (string.Create(CultureInfo.InvariantCulture, $"{prefix}{(prefix.Length == 0 ? "h" : "layers")}.{layer}.{tensor.Name}"), tensor.Shape)));
        }

        return names.Select(tensor => (tensor.Item1, DType.F16, tensor.Item2));
    }

    private static IEnumerable<(string Name, long[] Shape)> Layer(string architecture)
    {
        var headSize = HeadSizeOf(architecture);
        long query = Heads * headSize;
        long keyValue = KeyValueHeads * headSize;
        (string, long[])[] norms = [("input_layernorm.weight", [Hidden]), ("post_attention_layernorm.weight", [Hidden])];
        (string, long[])[] attention =
        [
            ("self_attn.q_proj.weight", [query, Hidden]), ("self_attn.k_proj.weight", [keyValue, Hidden]), ("self_attn.v_proj.weight", [keyValue, Hidden]), ("self_attn.o_proj.weight", [Hidden, query]),
        ];
        (string, long[])[] packedBiases = [("self_attn.q_proj.bias", [query]), ("self_attn.k_proj.bias", [keyValue]), ("self_attn.v_proj.bias", [keyValue])];
        (string, long[])[] biases = [.. packedBiases, ("self_attn.o_proj.bias", [Hidden])];
        (string, long[])[] feedForward = [("mlp.gate_proj.weight", [Wide, Hidden]), ("mlp.up_proj.weight", [Wide, Hidden]), ("mlp.down_proj.weight", [Hidden, Wide])];
        return architecture switch
        {
            "MistralForCausalLM" => [.. norms, .. attention, .. feedForward],
            // No bias of the output, whatever attention_bias says.
            "Qwen2ForCausalLM" => [.. norms, .. attention, .. packedBiases, .. feedForward],
            "LlamaForCausalLM" or "GemmaForCausalLM" => [.. norms, .. attention, .. biases, .. feedForward],
            "Qwen3ForCausalLM" => [.. norms, .. attention, .. biases, .. feedForward, ("self_attn.q_norm.weight", [headSize]), ("self_attn.k_norm.weight", [headSize])],
            "MixtralForCausalLM" =>
            [
                .. norms,
                .. attention,
                ("block_sparse_moe.gate.weight", [Experts, Hidden]),
                .. Enumerable.Range(0, Experts).SelectMany(expert => new (string, long[])[]
                {
                    ($"block_sparse_moe.experts.{expert}.w1.weight", [Wide, Hidden]), ($"block_sparse_moe.experts.{expert}.w2.weight", [Hidden, Wide]), ($"block_sparse_moe.experts.{expert}.w3.weight", [Wide, Hidden]),
                }),
            ],
            "Phi3ForCausalLM" =>
            [
                .. norms,
                ("self_attn.qkv_proj.weight", [Hidden + (2 * keyValue), Hidden]),
                ("self_attn.o_proj.weight", [Hidden, Hidden]),
                ("mlp.gate_up_proj.weight", [2 * Wide, Hidden]),
                ("mlp.down_proj.weight", [Hidden, Wide]),
            ],
            _ =>
            [
                ("ln_1.weight", [Hidden]), ("ln_1.bias", [Hidden]), ("ln_2.weight", [Hidden]), ("ln_2.bias", [Hidden]),
                // [inputs, outputs], as GPT-2's convolutions have them.
                ("attn.c_attn.weight", [Hidden, 3 * Hidden]), ("attn.c_attn.bias", [3 * Hidden]), ("attn.c_proj.weight", [Hidden, Hidden]), ("attn.c_proj.bias", [Hidden]),
                ("mlp.c_fc.weight", [Hidden, Wide]), ("mlp.c_fc.bias", [Wide]), ("mlp.c_proj.weight", [Wide, Hidden]), ("mlp.c_proj.bias", [Hidden]),
            ],
        };
    }

    // Blocks of 32: the shares of 44 columns that eight ranks have of the down projection begin and end inside them.
    private static GgufSample Gguf(string architecture)
    {
        var name = architecture switch
        {
            "GemmaForCausalLM" => "gemma",
            "Phi3ForCausalLM" => "phi3",
            "GPT2LMHeadModel" => "gpt2",
            _ => "llama",
        };
        var sample = new GgufSample();
        sample.Builder
            .Add("general.architecture", name)
            .Add($"{name}.block_count", 2u)
            .Add($"{name}.context_length", 64u)
            .Add($"{name}.embedding_length", (uint)Hidden)
            .Add($"{name}.feed_forward_length", (uint)Wide)
            .Add($"{name}.attention.head_count", (uint)Heads)
            .Add($"{name}.attention.head_count_kv", (uint)(name == "gpt2" ? Heads : KeyValueHeads))
            .Add($"{name}.attention.key_length", (uint)HeadSizeOf(architecture));
        sample.Add("token_embd.weight", 8, Vocabulary, Hidden).Add("output_norm.weight", 0, Hidden);
        if (name == "gpt2")
        {
            sample.Add("output_norm.bias", 0, Hidden).Add("position_embd.weight", 1, 64, Hidden);
        }
        else if (name != "gemma")
        {
            sample.Add("output.weight", 2, Vocabulary, Hidden);
        }

        if (architecture == "MixtralForCausalLM")
        {
            sample.Builder.Add("llama.expert_count", (uint)Experts).Add("llama.expert_used_count", 2u);
        }

        for (var layer = 0; layer < 2; layer++)
        {
            foreach (var (tensor, type, shape) in GgufLayer(architecture))
            {
                sample.Add(string.Create(CultureInfo.InvariantCulture, $"blk.{layer}.{tensor}"), type, shape);
            }
        }

        return sample;
    }

    private static (string Name, int Type, long[] Shape)[] GgufLayer(string architecture)
    {
        long query = Heads * HeadSizeOf(architecture);
        long keyValue = KeyValueHeads * HeadSizeOf(architecture);
        (string, int, long[])[] norms = [("attn_norm.weight", 0, [Hidden]), ("ffn_norm.weight", 0, [Hidden])];
        (string, int, long[])[] attention =
        [
            ("attn_q.weight", 2, [query, Hidden]), ("attn_k.weight", 8, [keyValue, Hidden]), ("attn_v.weight", 1, [keyValue, Hidden]), ("attn_output.weight", 8, [Hidden, query]),
        ];
        return architecture switch
        {
            "MixtralForCausalLM" =>
            [
                .. norms,
                .. attention,
                ("ffn_gate_inp.weight", 0, [Experts, Hidden]),
                ("ffn_gate_exps.weight", 2, [Experts, Wide, Hidden]),
                ("ffn_up_exps.weight", 8, [Experts, Wide, Hidden]),
                ("ffn_down_exps.weight", 8, [Experts, Hidden, Wide]),
            ],
            "Phi3ForCausalLM" =>
            [
                .. norms,
                ("attn_qkv.weight", 2, [query + (2 * keyValue), Hidden]),
                ("attn_output.weight", 8, [Hidden, query]),
                // Gate above up.
                ("ffn_up.weight", 8, [2 * Wide, Hidden]),
                ("ffn_down.weight", 8, [Hidden, Wide]),
            ],
            "GPT2LMHeadModel" =>
            [
                .. norms,
                ("attn_norm.bias", 0, [Hidden]), ("ffn_norm.bias", 0, [Hidden]),
                // [outputs, inputs], other than the checkpoint.
                ("attn_qkv.weight", 2, [3 * query, Hidden]), ("attn_qkv.bias", 0, [3 * query]), ("attn_output.weight", 8, [Hidden, query]), ("attn_output.bias", 0, [Hidden]),
                ("ffn_up.weight", 8, [Wide, Hidden]), ("ffn_up.bias", 0, [Wide]), ("ffn_down.weight", 8, [Hidden, Wide]), ("ffn_down.bias", 0, [Hidden]),
            ],
            _ => [.. norms, .. attention, ("ffn_gate.weight", 2, [Wide, Hidden]), ("ffn_up.weight", 8, [Wide, Hidden]), ("ffn_down.weight", 8, [Hidden, Wide])],
        };
    }
}
