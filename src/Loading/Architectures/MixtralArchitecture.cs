using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Mixtral, whose experts are in two parameters a layer, or, where they are quantised and nothing packs them, modules of their own.</summary>
internal static class MixtralArchitecture
{
    /// <summary>The name of the kind of model that has experts as modules.</summary>
    public const string QuantizedName = "QuantMixtralForCausalLM";

    private const string Mixture = "block_sparse_moe";

    // In each expert w1 and w3 are packed too, but by expert, which no name of a module tells.
    private static readonly OrderedDictionary<string, ImmutableArray<string>> Packed = new(StringComparer.Ordinal) { ["qkv_proj"] = ["q_proj", "k_proj", "v_proj"] };

    /// <summary>The kind of model.</summary>
    public static ModelClass Mixtral { get; } = new("MixtralForCausalLM", (context, prefix) => Build(context, prefix, mayPack: true))
    {
        PackedModules = Packed,
    };

    /// <summary>The kind of model whose experts are linear layers of their own; each rank has some of them, whole.</summary>
    public static ModelClass Quantized { get; } = new(QuantizedName, (context, prefix) => Build(context, prefix, mayPack: false))
    {
        PackedModules = Packed,
    };

    private static CausalLanguageModel Build(ModelContext context, string prefix, bool mayPack)
    {
        var fields = new ConfigFields(context);
        var sizes = DecoderSizes.Read(fields, keyValueHeads: 8, splitsIntermediate: false);
        var experts = fields.Count("num_local_experts", 8, GgufNameMapOptions.DefaultMaximumExperts);
        var packs = mayPack && CanPack(context, prefix, sizes, experts);
        var splitsExperts = packs && !context.ExpertParallel;
        if (splitsExperts)
        {
            fields.CheckSplit(sizes.Intermediate, "intermediate_size");
        }

        if (!splitsExperts && context.Parallel.WorldSize > experts)
        {
            throw new UnsupportedCheckpointException(
                "ranks without experts",
                context.Config.Path,
                $"{experts} experts (num_local_experts) cannot be shared by {context.Parallel.WorldSize} ranks: each has at least one; load the model over fewer ranks.");
        }

        return DecoderBuilder.Build(
            context,
            prefix,
            Packed,
            sizes,
            name => DecoderBuilder.Attention(context, sizes, name),
            Mixture,
            name => packs ? Fused(context, sizes, experts, name) : Separate(context, sizes, experts, name));
    }

    // One layout for all layers: where an expert of one is quantised, those of all are modules.
    private static bool CanPack(ModelContext context, string prefix, DecoderSizes sizes, int experts) => Enumerable.Range(0, sizes.Layers).All(layer => ExpertsLayer.CanPack(
        experts, sizes.Hidden, sizes.Intermediate, context.Layers, Module.Join(prefix, string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.{Mixture}.experts"))));

    private static Module Fused(ModelContext context, DecoderSizes sizes, int experts, string name)
    {
        var mixture = new Module();
        mixture.Register("gate", Gate(context, sizes, experts, name));
        mixture.Register("experts", new ExpertsLayer(experts, sizes.Hidden, sizes.Intermediate, context.Layers, $"{name}.experts"));
        return mixture;
    }

    private static Module Separate(ModelContext context, DecoderSizes sizes, int experts, string name)
    {
        var mixture = new Module();
        var placement = ExpertPlacement.Contiguous(experts, context.Parallel.WorldSize, context.Parallel.Rank);
        var list = mixture.Register("experts", new ExpertList(placement));
        foreach (var expert in placement.LocalExperts)
        {
            var number = expert.ToString(CultureInfo.InvariantCulture);
            var module = list.Register(number, new Module());
            Add("w1", sizes.Hidden, sizes.Intermediate);
            Add("w2", sizes.Intermediate, sizes.Hidden);
            Add("w3", sizes.Hidden, sizes.Intermediate);

            void Add(string weight, long inputs, long outputs) => module.Register(
                weight, new LinearLayer(new LinearLayout(inputs, [new PackedPart(null, outputs)]), context.DType, context.Quantization, $"{name}.experts.{number}.{weight}"));
        }

        mixture.Register("gate", Gate(context, sizes, experts, name));
        return mixture;
    }

    // It chooses experts on every rank, and is not quantised.
    private static LinearLayer Gate(ModelContext context, DecoderSizes sizes, int experts, string name) =>
        new(new LinearLayout(sizes.Hidden, [new PackedPart(null, experts)]), context.DType, prefix: $"{name}.gate");
}
