using System.Collections.Frozen;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which part of each tensor a tensor-parallel rank has, by the names that transformers gives the modules of the Llama,
/// Mistral, Qwen, Gemma and Mixtral families, or llama.cpp's converter gives them in GGUF files. The scheme is Megatron's: projections into a layer are split by their
/// outputs, the one out of it by its inputs, so that a layer needs one reduction. Immutable and safe for any thread.
/// </summary>
internal sealed class ParallelRule
{
    private static readonly FrozenDictionary<string, ParallelSplit> Modules = new Dictionary<string, ParallelSplit>(StringComparer.Ordinal)
    {
        ["q_proj"] = ParallelSplit.Heads,
        ["k_proj"] = ParallelSplit.KeyValueHeads,
        ["v_proj"] = ParallelSplit.KeyValueHeads,
        ["o_proj"] = ParallelSplit.HeadInputs,
        ["gate_proj"] = ParallelSplit.Outputs,
        ["up_proj"] = ParallelSplit.Outputs,
        ["down_proj"] = ParallelSplit.Inputs,
        ["embed_tokens"] = ParallelSplit.Vocabulary,
        ["lm_head"] = ParallelSplit.Vocabulary,
        // Phi-3, Qwen 1, Falcon and GPT-NeoX, MPT, Baichuan.
        ["qkv_proj"] = ParallelSplit.Packed,
        ["gate_up_proj"] = ParallelSplit.Packed,
        ["c_attn"] = ParallelSplit.Packed,
        ["query_key_value"] = ParallelSplit.Packed,
        ["Wqkv"] = ParallelSplit.Packed,
        ["W_pack"] = ParallelSplit.Packed,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    // Mixtral's names, which mean this only under "experts".
    private static readonly FrozenDictionary<string, ParallelSplit> ExpertModules = new Dictionary<string, ParallelSplit>(StringComparer.Ordinal)
    {
        ["w1"] = ParallelSplit.Outputs,
        ["w2"] = ParallelSplit.Inputs,
        ["w3"] = ParallelSplit.Outputs,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    // llama.cpp's names, of the architectures whose layers are known to be made of these.
    private static readonly FrozenSet<string> GgufArchitectures = ["llama", "qwen2", "qwen3", "gemma", "phi3", "gpt2"];
    private static readonly FrozenDictionary<string, ParallelSplit> GgufModules = new Dictionary<string, ParallelSplit>(StringComparer.Ordinal)
    {
        // Rows of a head may be in another order than transformers', but heads are not.
        ["attn_q"] = ParallelSplit.Heads,
        ["attn_k"] = ParallelSplit.KeyValueHeads,
        ["attn_v"] = ParallelSplit.KeyValueHeads,
        ["attn_output"] = ParallelSplit.HeadInputs,
        ["ffn_gate"] = ParallelSplit.Outputs,
        ["ffn_up"] = ParallelSplit.Outputs,
        ["ffn_down"] = ParallelSplit.Inputs,
        ["token_embd"] = ParallelSplit.Vocabulary,
        ["output"] = ParallelSplit.Vocabulary,
        ["attn_qkv"] = ParallelSplit.Packed,
        ["ffn_gate_exps"] = ParallelSplit.Packed,
        ["ffn_up_exps"] = ParallelSplit.Packed,
        ["ffn_down_exps"] = ParallelSplit.Packed,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    // Encoders beside the language model have heads of their own and are small: each rank has them whole.
    private static readonly string[] Encoders = ["vision", "visual", "audio"];

    private readonly TensorParallel _parallel;
    private readonly string? _architecture;
    private readonly string _headsField = "num_attention_heads";
    private readonly string _keyValueHeadsField = "num_key_value_heads";
    private readonly long? _heads;
    private readonly long? _keyValueHeads;

    /// <summary>Makes the rule.</summary>
    /// <param name="parallel">The ranks.</param>
    /// <param name="checkpoint">The tensors.</param>
    /// <param name="config">The configuration with the heads; null for the checkpoint's own.</param>
    public ParallelRule(TensorParallel parallel, Checkpoint checkpoint, ModelConfig? config = null)
    {
        _parallel = parallel;
        if (checkpoint.Files[0].Header is GgufHeader { Architecture: { } architecture } header && GgufArchitectures.Contains(architecture))
        {
            _architecture = architecture;
            _headsField = $"{_architecture}.attention.head_count";
            _keyValueHeadsField = $"{_architecture}.attention.head_count_kv";
            // A number a layer is an array, and none for all of them.
            _heads = header.TryGetInteger(_headsField, out var heads) ? heads : null;
            _keyValueHeads = header.TryGetInteger(_keyValueHeadsField, out var shared) ? shared
                : header.Metadata.ContainsKey(_keyValueHeadsField) ? null
                : _heads;
            return;
        }

        config ??= checkpoint.Config;
        _heads = config?.HeadCount ?? TextNumber(config, _headsField);
        _keyValueHeads = config?.KeyValueHeadCount ?? TextNumber(config, _keyValueHeadsField) ?? _heads;
    }

    /// <summary>The rank's part of a tensor; null for all of it.</summary>
    /// <exception cref="UnsupportedCheckpointException">The tensor is known to be split, and cannot be over this many ranks.</exception>
    public TensorSlice? SliceOf(TensorInfo tensor)
    {
        if (_parallel.WorldSize == 1)
        {
            return null;
        }

        var (split, ending) = _architecture is null ? Find(tensor.Name) : FindInGguf(tensor.Name, _architecture);
        return split switch
        {
            ParallelSplit.Replicated => null,
            ParallelSplit.Packed => throw Refuse(
                tensor,
                "packed weights",
                "it packs several weights into one tensor, whose parts this version does not split one by one",
                "load the model without splitting, or exclude it"),
            _ when ending.Equals("weight", StringComparison.Ordinal) => SliceWeight(tensor, split),
            _ when ending.Equals("bias", StringComparison.Ordinal) => SliceBias(tensor, split),
            // A scale of the whole tensor.
            _ when tensor.ElementCount <= 1 => null,
            _ => throw Refuse(
                tensor,
                "companions of split weights",
                "it belongs to a weight that is split, and how it is split with it depends on its quantisation, which this version does not know"),
        };
    }

    private static (ParallelSplit Split, string Ending) Find(string name)
    {
        var parts = name.Split('.');
        if (parts.Any(part => Encoders.Any(encoder => part.StartsWith(encoder, StringComparison.Ordinal))))
        {
            return (ParallelSplit.Replicated, "");
        }

        // Experts of all layers in one tensor are parameters themselves: "mlp.experts.gate_up_proj", without ".weight".
        if (parts.Length >= 2 && parts[^2] == "experts" && Modules.ContainsKey(parts[^1]))
        {
            return (ParallelSplit.Packed, parts[^1]);
        }

        if (parts.Length >= 2 && Modules.TryGetValue(parts[^2], out var split))
        {
            return (split, parts[^1]);
        }

        return parts.Length >= 4 && parts[^4] == "experts" && ExpertModules.TryGetValue(parts[^2], out split)
            ? (split, parts[^1])
            : (ParallelSplit.Replicated, "");
    }

    private static (ParallelSplit Split, string Ending) FindInGguf(string name, string architecture)
    {
        var parts = name.Split('.');
        if (parts.Length < 2)
        {
            return (ParallelSplit.Replicated, "");
        }

        // One tensor an expert, as converters wrote them before they stacked them: blk.0.ffn_up.3.weight.
        var module = parts.Length == 5 && long.TryParse(parts[^2], out _) ? parts[^3] : parts[^2];
        if (!GgufModules.TryGetValue(module, out var split))
        {
            return (ParallelSplit.Replicated, "");
        }

        // Phi-3's gate stands above its up projection, in one tensor.
        return (architecture == "phi3" && module == "ffn_up" ? ParallelSplit.Packed : split, parts[^1]);
    }

    private TensorSlice? SliceWeight(TensorInfo tensor, ParallelSplit split)
    {
        if (tensor.Shape.Rank != 2)
        {
            throw Refuse(tensor, "weights that are not matrices", $"a weight of that name is [outputs, inputs], and this is {tensor.Shape}");
        }

        return split switch
        {
            ParallelSplit.Inputs => SliceEvenly(tensor, 1),
            ParallelSplit.HeadInputs => SliceHeads(tensor, 1, _heads, _headsField),
            _ => SliceOutputs(tensor, split),
        };
    }

    private TensorSlice? SliceBias(TensorInfo tensor, ParallelSplit split) => split switch
    {
        ParallelSplit.Inputs or ParallelSplit.HeadInputs => null,
        _ when tensor.Shape.Rank == 1 => SliceOutputs(tensor, split),
        _ => throw Refuse(tensor, "biases that are not vectors", $"a bias is [outputs], and this is {tensor.Shape}"),
    };

    private TensorSlice SliceOutputs(TensorInfo tensor, ParallelSplit split) => split switch
    {
        ParallelSplit.Heads => SliceHeads(tensor, 0, _heads, _headsField),
        ParallelSplit.KeyValueHeads => SliceHeads(tensor, 0, _keyValueHeads, _keyValueHeadsField),
        ParallelSplit.Vocabulary => SliceVocabulary(tensor),
        _ => SliceEvenly(tensor, 0),
    };

    private TensorSlice SliceEvenly(TensorInfo tensor, int dimension)
    {
        var (share, rest) = Math.DivRem(tensor.Shape[dimension], _parallel.WorldSize);
        return rest == 0
            ? new TensorSlice(dimension, _parallel.Rank * share, share)
            : throw Refuse(
                tensor, "uneven splits", $"dimension {dimension} of {tensor.Shape} cannot be split evenly over {_parallel.WorldSize} ranks");
    }

    private TensorSlice SliceHeads(TensorInfo tensor, int dimension, long? count, string field)
    {
        if (count is not > 0)
        {
            throw Refuse(
                tensor,
                "splitting attention without a configuration",
                _architecture is null
                    ? $"it is split by attention heads, and there is no config.json with {field} that says how many there are"
                    : $"it is split by attention heads, and the metadata has no one number {field} that says how many there are");
        }

        var (perHead, rest) = Math.DivRem(tensor.Shape[dimension], count.Value);
        if (rest != 0)
        {
            throw Refuse(tensor, "uneven heads", $"dimension {dimension} of {tensor.Shape} does not consist of {count} equal heads ({field})");
        }

        if (count.Value % _parallel.WorldSize == 0)
        {
            var share = count.Value / _parallel.WorldSize * perHead;
            return new TensorSlice(dimension, _parallel.Rank * share, share);
        }

        // Fewer key and value heads than ranks: neighbouring ranks have the same one, next to the query heads that use it.
        if (dimension == 0 && count < _heads && _parallel.WorldSize % count.Value == 0)
        {
            return new TensorSlice(0, _parallel.Rank / (_parallel.WorldSize / count.Value) * perHead, perHead);
        }

        throw Refuse(tensor, "uneven heads", $"{count} heads ({field}) cannot be split over {_parallel.WorldSize} ranks");
    }

    // As a vocabulary that is padded to a multiple of the ranks is split, without the padding: equal parts rounded up, of
    // which the last may be shorter or empty. (vLLM pads to a multiple of 64 first; that only moves the bounds.)
    private TensorSlice SliceVocabulary(TensorInfo tensor)
    {
        var tokens = tensor.Shape[0];
        var part = (tokens / _parallel.WorldSize) + (tokens % _parallel.WorldSize == 0 ? 0 : 1);
        var start = Math.Min(tokens, _parallel.Rank * part);
        return new TensorSlice(0, start, Math.Min(part, tokens - start));
    }

    private static UnsupportedCheckpointException Refuse(
        TensorInfo tensor, string feature, string reason, string advice = "load it over another number of ranks, or exclude it") => new(
        feature,
        tensor.File.Path,
        $"{reason}; {advice}.",
        tensor.File.Format,
        tensor.Name);

    // Models with several parts (Gemma 3, Llama 4) keep the language model's numbers one level down.
    private static long? TextNumber(ModelConfig? config, string field) =>
        config is not null
        && config.Root.TryGetProperty("text_config", out var text)
        && text.ValueKind == JsonValueKind.Object
        && text.TryGetProperty(field, out var value)
        && value.ValueKind == JsonValueKind.Number
        && value.TryGetInt64(out var number)
            ? number
            : null;
}
