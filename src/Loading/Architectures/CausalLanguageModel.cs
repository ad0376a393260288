using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// A decoder with an output head, in the layout in which it is computed: queries, keys and values packed, gate and up projection packed, vocabulary padded, all of it split over
/// the ranks. Parameters are named and ordered as vLLM's are; no forward pass. Weights come by the names that transformers gives them (<see cref="Route"/>).
/// </summary>
public class CausalLanguageModel : Module
{
    private const string Rotary = "rotary_emb";
    private readonly ParamMapping _packed;
    private readonly ModelContext _context;

    /// <summary>Makes a model without layers.</summary>
    /// <param name="context">What it is made of.</param>
    /// <param name="packed">Packed modules and the parts they pack.</param>
    public CausalLanguageModel(ModelContext context, IEnumerable<KeyValuePair<string, ImmutableArray<string>>> packed)
    {
        ArgumentNullException.ThrowIfNull(context);
        (_context, _packed) = (context, new ParamMapping(packed));
    }

    /// <summary>Whether the output head is the embedding; then a weight of it that a checkpoint has is left out.</summary>
    public bool IsTied { get; init; }

    /// <summary>
    /// Says what the model does with a weight: a part of a packed module goes into its part of the packed parameter, an expert's into its place among all experts, the scales of a key and value cache where
    /// <see cref="KvScaleNames"/> says; what models compute (<c>rotary_emb.inv_freq</c>) and the head of a tied model is left out.
    /// </summary>
    /// <inheritdoc/>
    public override WeightRoute Route(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (IsTied && name == "lm_head.weight")
        {
            return WeightRoute.Skip("the output head is tied to the embedding");
        }

        var route = Find(name.Split('.'));
        if (!route.IsUnknown)
        {
            return route;
        }

        return !IsScale(name) ? route
            : KvScaleNames.Remap(name, NamedParameters().Select(entry => entry.Name).ToHashSet(StringComparer.Ordinal), _context.Warnings) is { } mapped ? Find(mapped.Split('.'))
            : WeightRoute.Skip("the model has no parameter for a scale of the key and value cache");
    }

    private static bool IsScale(string name) =>
        name.EndsWith("_scale", StringComparison.Ordinal) || name.EndsWith("_zero_point", StringComparison.Ordinal);

    private WeightRoute Find(ReadOnlySpan<string> parts)
    {
        Module module = this;
        for (var i = 0; i < parts.Length - 1; i++)
        {
            if (module.Children.TryGetValue(parts[i], out var child))
            {
                module = child;
                if (module is ExpertsLayer or ExpertList)
                {
                    return module.Route(string.Join('.', parts[(i + 1)..]!));
                }
            }
            else if (i == parts.Length - 2 && parts[i] == Rotary && module is SelfAttention or DecoderLayers
                && parts[^1] is "inv_freq" or "cos_cached" or "sin_cached")
            {
                return WeightRoute.Skip("rotary frequencies are computed from the configuration");
            }
            else
            {
                return i == parts.Length - 2
                    && _packed.Inverse.TryGetValue(parts[i], out var packed)
                    && module.Children.TryGetValue(packed.Packed, out var layer)
                    && layer is LinearLayer linear
                    && packed.Index < linear.Layout.Parts.Length
                    && layer.Parameters.TryGetValue(parts[^1], out var part)
                        ? WeightRoute.To(part, new ShardId(linear.Layout.Parts[packed.Index].Id))
                        : WeightRoute.Unknown;
            }
        }

        return module.Parameters.TryGetValue(parts[^1], out var parameter) ? WeightRoute.To(parameter) : WeightRoute.Unknown;
    }
}
