using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Qwen2, whose queries, keys and values have biases, and Qwen3, which normalises queries and keys instead.</summary>
internal static class QwenArchitecture
{
    private static readonly OrderedDictionary<string, ImmutableArray<string>> Packed = DecoderBuilder.Packed;

    /// <summary>The kind of model of Qwen2 and Qwen2.5: 32 key and value heads where the configuration does not say (Qwen2Config).</summary>
    public static ModelClass Qwen2 { get; } = new(
        "Qwen2ForCausalLM",
        (context, prefix) => DecoderBuilder.BuildGated(
            context, prefix, Packed, DecoderSizes.Read(new ConfigFields(context), keyValueHeads: 32), hasBias: true))
    {
        PackedModules = Packed,
    };

    /// <summary>The kind of model of Qwen3: 32 key and value heads, of 128 features, where the configuration does not say (Qwen3Config).</summary>
    public static ModelClass Qwen3 { get; } = new(
        "Qwen3ForCausalLM",
        (context, prefix) =>
        {
            var fields = new ConfigFields(context);
            var hasBias = fields.Flag("attention_bias", false);
            return DecoderBuilder.BuildGated(
                context, prefix, Packed, DecoderSizes.Read(fields, keyValueHeads: 32, headSize: 128), hasBias, hasBias, normalisesHeads: true);
        })
    {
        PackedModules = Packed,
    };
}
