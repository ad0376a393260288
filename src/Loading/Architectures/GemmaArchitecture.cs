using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Gemma. The weights of its normalisations are as they are stored: what computes with them adds 1.</summary>
internal static class GemmaArchitecture
{
    private static readonly OrderedDictionary<string, ImmutableArray<string>> Packed = DecoderBuilder.Packed;

    /// <summary>The kind of model: 16 key and value heads, of 256 features, and the output head tied to the embedding, where the configuration does not say (GemmaConfig).</summary>
    public static ModelClass Gemma { get; } = new(
        "GemmaForCausalLM",
        (context, prefix) =>
        {
            var fields = new ConfigFields(context);
            var hasBias = fields.Flag("attention_bias", false);
            return DecoderBuilder.BuildGated(
                context, prefix, Packed, DecoderSizes.Read(fields, keyValueHeads: 16, headSize: 256, isTied: true), hasBias, hasBias);
        })
    {
        PackedModules = Packed,
    };
}
