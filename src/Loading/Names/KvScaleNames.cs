using System.Collections.Immutable;
using System.Text.RegularExpressions;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The names that checkpoints give to the scales and zero points of a quantised key and value cache, and those that models give (vLLM's <c>maybe_remap_kv_scale_name</c>). Safe for any thread.</summary>
public static partial class KvScaleNames
{
    private const string Deprecated = ".kv_scale";

    private static readonly ImmutableArray<string> Suffixes = [".k_scale", ".v_scale", ".q_scale", ".k_zero_point", ".v_zero_point", ".q_zero_point"];

    // In the order in which they are tried; {0} is where a model has its attention.
    private static readonly ImmutableArray<(Regex Pattern, string Replacement)> Patterns =
    [
        (ModelOpt(), ".self_attn.{0}.${kind}_scale"),
        (PackedProjection(), ".self_attn.attn.${kind}_scale"),
        (QwenExperts(), ".self_attn.attn.${kind}_scale"),
        (Nemotron(), ".mixer.attn.${kind}_scale"),
        (Scale(), ".attn.${kind}_scale"),
        (ZeroPoint(), ".attn.${kind}_zero_point"),
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
                "The checkpoint has kv_scale, which is deprecated in favour of separate k_scale and v_scale tensors, and will not be read for ever. It is loaded as k_scale, "
                + "and k_scale stands for v_scale too.");
            return Find(name, name.Replace(Deprecated, ".attn.k_scale", StringComparison.Ordinal), "kv_scale", parameterNames, warnings);
        }

        if (!Suffixes.Any(suffix => name.EndsWith(suffix, StringComparison.Ordinal)))
        {
            return name;
        }

        foreach (var (pattern, replacement) in Patterns)
        {
            if (pattern.IsMatch(name))
            {
                // Of models with multi-head latent attention; as in vLLM, the first pattern only knows it.
                var attention = parameterNames.Any(parameter => parameter.Contains("mla_attn", StringComparison.Ordinal)) ? "mla_attn.mla_attn" : "attn";
                var target = pattern.Replace(name, replacement.Replace("{0}", attention, StringComparison.Ordinal));
                return Find(name, target, name[(name.LastIndexOf('.') + 1)..], parameterNames, warnings);
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
            $"The checkpoint has {kind} (for example {Quoted.Name(name)}), but the model has no parameter of the expected name (for example {Quoted.Name(target)}): {kind} is not loaded.");
        return null;
    }

    // Ends are \z and not $, which .NET like Python also finds before a last line feed; no name ends with a suffix and has one.
    [GeneratedRegex(@"\.self_attn\.[kv]_proj\.(?<kind>[kv])_scale\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ModelOpt();

    [GeneratedRegex(@"\.self_attn\.qkv_proj\.(?<kind>[kv])_scale\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PackedProjection();

    [GeneratedRegex(@"\.self_attn\.qkqkv_proj\.(?<kind>[kv])_scale\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex QwenExperts();

    [GeneratedRegex(@"\.mixer\.[kv]_proj\.(?<kind>[kv])_scale\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Nemotron();

    [GeneratedRegex(@"\.(?<kind>[qkv])_scale\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Scale();

    [GeneratedRegex(@"\.(?<kind>[qkv])_zero_point\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ZeroPoint();
}
