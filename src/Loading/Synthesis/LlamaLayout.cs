using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>The names and shapes of a Llama checkpoint as transformers writes it.</summary>
internal static class LlamaLayout
{
    /// <summary>All tensors, in the order of the model.</summary>
    public static IEnumerable<SafetensorsTensor> Tensors(LlamaOptions options)
    {
        long hidden = options.Hidden;
        long keyValue = hidden / options.Heads * options.KeyValueHeads;
        long wide = options.IntermediateSize;
        yield return Make("model.embed_tokens.weight", options.Vocabulary, hidden);
        for (var layer = 0; layer < options.Layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            yield return Make(prefix + "input_layernorm.weight", hidden);
            yield return Make(prefix + "self_attn.q_proj.weight", hidden, hidden);
            yield return Make(prefix + "self_attn.k_proj.weight", keyValue, hidden);
            yield return Make(prefix + "self_attn.v_proj.weight", keyValue, hidden);
            yield return Make(prefix + "self_attn.o_proj.weight", hidden, hidden);
            yield return Make(prefix + "post_attention_layernorm.weight", hidden);
            yield return Make(prefix + "mlp.gate_proj.weight", wide, hidden);
            yield return Make(prefix + "mlp.up_proj.weight", wide, hidden);
            yield return Make(prefix + "mlp.down_proj.weight", hidden, wide);
        }

        yield return Make("model.norm.weight", hidden);
        if (!options.TieEmbeddings)
        {
            yield return Make("lm_head.weight", options.Vocabulary, hidden);
        }

        SafetensorsTensor Make(string name, params ReadOnlySpan<long> dimensions) => new(name, options.DType, new Shape(dimensions));
    }

    /// <summary>Cuts the tensors into shards of about equal size, in the order of the model; none is empty.</summary>
    public static IReadOnlyList<IReadOnlyList<SafetensorsTensor>> Shards(LlamaOptions options)
    {
        var tensors = Tensors(options).ToArray();
        var total = tensors.Sum(tensor => tensor.Shape.ElementCount);
        var shards = new List<IReadOnlyList<SafetensorsTensor>>();
        var current = new List<SafetensorsTensor>();
        long before = 0;
        for (var i = 0; i < tensors.Length; i++)
        {
            current.Add(tensors[i]);
            before += tensors[i].Shape.ElementCount;
            var isFull = before >= (shards.Count + 1) * (double)total / options.Shards;
            var mustEnd = tensors.Length - i - 1 == options.Shards - shards.Count - 1;
            if ((isFull || mustEnd) && shards.Count < options.Shards - 1)
            {
                shards.Add(current);
                current = [];
            }
        }

        shards.Add(current);
        return shards;
    }
}
