using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Llama, and Mistral, whose weights are named and packed as Llama's are.</summary>
internal static class LlamaArchitecture
{
    private static readonly OrderedDictionary<string, ImmutableArray<string>> Packed = DecoderBuilder.Packed;

    /// <summary>The kind of model of Llama.</summary>
    public static ModelClass Llama { get; } = new(
        "LlamaForCausalLM",
        (context, prefix) =>
        {
            var fields = new ConfigFields(context);
            var hasBias = fields.Flag("attention_bias", false);
            return DecoderBuilder.BuildGated(
                context, prefix, Packed, DecoderSizes.Read(fields), hasBias, hasBias, hasFeedForwardBias: fields.Flag("mlp_bias", false));
        })
    {
        PackedModules = Packed,
    };

    /// <summary>The kind of model of Mistral: no biases, and 8 key and value heads where the configuration does not say (MistralConfig).</summary>
    public static ModelClass Mistral { get; } = new(
        "MistralForCausalLM",
        (context, prefix) => DecoderBuilder.BuildGated(context, prefix, Packed, DecoderSizes.Read(new ConfigFields(context), keyValueHeads: 8)))
    {
        PackedModules = Packed,
    };
}
