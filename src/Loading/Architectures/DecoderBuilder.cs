using System.Collections.Immutable;
using System.Globalization;

namespace IlgpuLoader.Loading;

/// <summary>Builds decoders whose modules are named and ordered as Llama's are.</summary>
internal static class DecoderBuilder
{
    /// <summary>What Llama packs, and most after it.</summary>
    public static OrderedDictionary<string, ImmutableArray<string>> Packed => new(StringComparer.Ordinal)
    {
        ["qkv_proj"] = ["q_proj", "k_proj", "v_proj"],
        ["gate_up_proj"] = ["gate_proj", "up_proj"],
    };

    /// <summary>Builds a model.</summary>
    /// <param name="context">What it is made of.</param>
    /// <param name="prefix">Its full name.</param>
    /// <param name="packed">Packed modules and the parts they pack.</param>
    /// <param name="sizes">The sizes of its layers.</param>
    /// <param name="attention">Makes a layer's attention under a full name.</param>
    /// <param name="feedForwardName">The name of a layer's feed-forward network.</param>
    /// <param name="feedForward">Makes it under a full name.</param>
    public static CausalLanguageModel Build(
        ModelContext context,
        string prefix,
        IEnumerable<KeyValuePair<string, ImmutableArray<string>>> packed,
        DecoderSizes sizes,
        Func<string, Module> attention,
        string feedForwardName,
        Func<string, Module> feedForward)
    {
        var options = context.Layers;
        var causal = new CausalLanguageModel(context, packed) { IsTied = sizes.IsTied };
        try
        {
            var model = causal.Register("model", new DecoderLayers());
            var inner = Module.Join(prefix, "model");
            var embedding = model.Register("embed_tokens", new VocabularyEmbedding(sizes.Vocabulary, sizes.Hidden, options));
            var layers = model.Register("layers", new Module());
            for (var i = 0; i < sizes.Layers; i++)
            {
                var number = i.ToString(CultureInfo.InvariantCulture);
                var name = $"{inner}.layers.{number}";
                var layer = layers.Register(number, new Module());
                layer.Register("self_attn", attention($"{name}.self_attn"));
                layer.Register(feedForwardName, feedForward($"{name}.{feedForwardName}"));
                layer.Register("input_layernorm", new NormLayer(sizes.Hidden, options.DType));
                layer.Register("post_attention_layernorm", new NormLayer(sizes.Hidden, options.DType));
            }

            model.Register("norm", new NormLayer(sizes.Hidden, options.DType));
            causal.Register("lm_head", sizes.IsTied ? embedding : new VocabularyEmbedding(sizes.Vocabulary, sizes.Hidden, options));
            return causal;
        }
        catch
        {
            causal.Dispose();
            throw;
        }
    }

    /// <summary>Builds a model with a gated feed-forward network.</summary>
    /// <inheritdoc cref="Build"/>
    /// <param name="context">What it is made of.</param>
    /// <param name="prefix">Its full name.</param>
    /// <param name="packed">Packed modules and the parts they pack.</param>
    /// <param name="sizes">The sizes of its layers.</param>
    /// <param name="hasBias">Whether queries, keys and values have a bias.</param>
    /// <param name="hasOutputBias">Whether the attention's output has a bias.</param>
    /// <param name="normalisesHeads">Whether queries and keys are normalised.</param>
    /// <param name="hasFeedForwardBias">Whether the feed-forward network has biases.</param>
    public static CausalLanguageModel BuildGated(
        ModelContext context,
        string prefix,
        IEnumerable<KeyValuePair<string, ImmutableArray<string>>> packed,
        DecoderSizes sizes,
        bool hasBias = false,
        bool hasOutputBias = false,
        bool normalisesHeads = false,
        bool hasFeedForwardBias = false) => Build(
            context,
            prefix,
            packed,
            sizes,
            name => Attention(context, sizes, name, hasBias, hasOutputBias, normalisesHeads),
            "mlp",
            name => new GatedFeedForward(sizes.Hidden, sizes.Intermediate, context.Layers, name, hasFeedForwardBias));

    /// <summary>Makes a layer's attention.</summary>
    public static SelfAttention Attention(
        ModelContext context, DecoderSizes sizes, string name, bool hasBias = false, bool hasOutputBias = false, bool normalisesHeads = false) => new(
            sizes.Hidden, sizes.Heads, sizes.KeyValueHeads, sizes.HeadSize, context.Layers, name, hasBias, hasOutputBias, normalisesHeads);
}
