using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// The names that checkpoints give to the scales and zero points of a quantised key and value cache, and those that models give
/// (vLLM's <c>maybe_remap_kv_scale_name</c>). Safe for any thread.
/// </summary>
public static class KvScaleNames
{
    private const string Deprecated = ".kv_scale";

    // Stands for where a model has its attention.
    private const string Attention = "{attention}";

    // What names end with and what takes its place, in the order in which vLLM's patterns are tried.
    private static readonly ImmutableArray<(string End, string Replacement)> Ends =
    [
        // ModelOpt.
        .. Pairs().Select(pair => ($".self_attn.{pair.Projection}_proj.{pair.Kind}_scale", $".self_attn.{Attention}.{pair.Kind}_scale")),
        // Query, key and value in one.
        .. "kv".Select(kind => ($".self_attn.qkv_proj.{kind}_scale", $".self_attn.attn.{kind}_scale")),
        // Mixtures of experts of Qwen3.
        .. "kv".Select(kind => ($".self_attn.qkqkv_proj.{kind}_scale", $".self_attn.attn.{kind}_scale")),
        // Nemotron-H.
        .. Pairs().Select(pair => ($".mixer.{pair.Projection}_proj.{pair.Kind}_scale", $".mixer.attn.{pair.Kind}_scale")),
        // All others.
        .. "qkv".Select(kind => ($".{kind}_scale", $".attn.{kind}_scale")),
        .. "qkv".Select(kind => ($".{kind}_zero_point", $".attn.{kind}_zero_point")),
    ];

    /// <summary>Finds the parameter that a scale or zero point of a checkpoint goes into.</summary>
    /// <param name="name">The name in the checkpoint.</param>
    /// <param name="parameterNames">The names of all parameters of the model.</param>
    /// <param name="warnings">Told of the deprecated <c>kv_scale</c>, and of what the model has no parameter for.</param>
    /// <returns>The parameter's name; the name itself where it is no such name; null where the model has no parameter for it.</returns>
    public static string? Remap(string name, IReadOnlySet<string> parameterNames, WarningLog warnings)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(parameterNames);
        ArgumentNullException.ThrowIfNull(warnings);
        if (name.EndsWith(Deprecated, StringComparison.Ordinal))
        {
            warnings.WarnOnce(
                "The checkpoint has kv_scale, which is deprecated in favour of separate k_scale and v_scale tensors, and will not be read "
                + "for ever. It is loaded as k_scale, and k_scale stands for v_scale too.");
            // At each place, as the reference does it.
            return Find(name, name.Replace(Deprecated, ".attn.k_scale", StringComparison.Ordinal), "kv_scale", parameterNames, warnings);
        }

        foreach (var (end, replacement) in Ends)
        {
            if (name.EndsWith(end, StringComparison.Ordinal))
            {
                // Multi-head latent attention, which only the first pattern knows.
                var isLatent = replacement.Contains(Attention, StringComparison.Ordinal)
                    && parameterNames.Any(parameter => parameter.Contains("mla_attn", StringComparison.Ordinal));
                var behind = replacement.Replace(Attention, isLatent ? "mla_attn.mla_attn" : "attn", StringComparison.Ordinal);
                var kind = name[(name.LastIndexOf('.') + 1)..];
                return Find(name, string.Concat(name.AsSpan(0, name.Length - end.Length), behind), kind, parameterNames, warnings);
            }
        }

        return name;
    }

    private static string? Find(string name, string target, string kind, IReadOnlySet<string> parameterNames, WarningLog warnings)
    {
        if (parameterNames.Contains(target))
        {
            return target;
        }

        warnings.WarnOnce(
            $"The checkpoint has {kind} (for example {Quoted.Name(name)}), but the model has no parameter of the expected name "
            + $"(for example {Quoted.Name(target)}): {kind} is not loaded.");
        return null;
    }

    // The scale of keys may be with the projection of values, and is then still that of keys.
    private static IEnumerable<(char Projection, char Kind)> Pairs() => "kv".SelectMany(projection => "kv".Select(kind => (projection, kind)));
}
