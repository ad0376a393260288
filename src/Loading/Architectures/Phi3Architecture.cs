using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Phi-3, whose checkpoints have queries, keys and values packed already, and gate and up projection.</summary>
internal static class Phi3Architecture
{
    private static readonly OrderedDictionary<string, ImmutableArray<string>> Packed = new(StringComparer.Ordinal)
    {
        ["qkv_proj"] = ["qkv_proj"],
        ["gate_up_proj"] = ["gate_up_proj"],
    };

    /// <summary>The kind of model.</summary>
    public static ModelClass Phi3 { get; } = new(
        "Phi3ForCausalLM", (context, prefix) => DecoderBuilder.BuildGated(context, prefix, Packed, DecoderSizes.Read(new ConfigFields(context))))
    {
        PackedModules = Packed,
    };
}
