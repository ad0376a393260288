using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>GPT-2 with its head. Weights may have been saved without it, and then lack the prefix <c>transformer.</c>.</summary>
/// <param name="context">What it is made of.</param>
/// <param name="packed">Packed modules and the parts they pack.</param>
internal sealed class Gpt2Model(ModelContext context, IEnumerable<KeyValuePair<string, ImmutableArray<string>>> packed)
    : CausalLanguageModel(context, packed)
{
    private const string Prefix = "transformer.";

    /// <inheritdoc/>
    public override WeightRoute Route(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!name.StartsWith(Prefix, StringComparison.Ordinal) && !name.StartsWith("lm_head.", StringComparison.Ordinal))
        {
            name = Prefix + name;
        }

        return IsMask(name) ? WeightRoute.Skip("masks of attention are computed") : base.Route(name);
    }

    // Parameters of the attention itself would have another module between.
    private bool IsMask(string name) =>
        name.Split('.') is ["transformer", "h", var layer, "attn", "bias" or "masked_bias"]
        && Children["transformer"].Children["h"].Children.ContainsKey(layer);
}
