using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Gives the weights of a checkpoint other names, by rules for parts of them (vLLM's <c>WeightsMapper</c>): substrings first, then prefixes, then suffixes, each kind in its order. Every rule that fits what the rules before
/// have made of the name is applied, a substring at its first place. Immutable and safe for any thread.
/// </summary>
public sealed partial class WeightNameMapper
{
    /// <summary>Makes a mapper.</summary>
    /// <param name="substrings">Rules for what is anywhere in the name.</param>
    /// <param name="prefixes">Rules for what the name begins with; an empty one fits each name.</param>
    /// <param name="suffixes">Rules for what the name ends with; an empty one fits each name.</param>
    /// <exception cref="ArgumentException">A rule is there twice, or one for a substring is empty; the message has the rule.</exception>
    public WeightNameMapper(IEnumerable<NameRule>? substrings = null, IEnumerable<NameRule>? prefixes = null, IEnumerable<NameRule>? suffixes = null)
    {
        Substrings = Check(substrings, "substring", mayBeEmpty: false, nameof(substrings));
        Prefixes = Check(prefixes, "prefix", mayBeEmpty: true, nameof(prefixes));
        Suffixes = Check(suffixes, "suffix", mayBeEmpty: true, nameof(suffixes));
    }

    /// <summary>The rules for what is anywhere in the name.</summary>
    public ImmutableArray<NameRule> Substrings { get; }

    /// <summary>The rules for what the name begins with.</summary>
    public ImmutableArray<NameRule> Prefixes { get; }

    /// <summary>The rules for what the name ends with.</summary>
    public ImmutableArray<NameRule> Suffixes { get; }

    /// <summary>Gives one name.</summary>
    /// <param name="name">The name in the checkpoint.</param>
    /// <returns>The other name, the same one where no rule fits, or null where the weight is left out.</returns>
    public string? Map(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        foreach (var (from, to) in Substrings)
        {
            var place = name.IndexOf(from, StringComparison.Ordinal);
            if (place < 0)
            {
                continue;
            }

            if (to is null)
            {
                return null;
            }

            name = string.Concat(name.AsSpan(0, place), to, name.AsSpan(place + from.Length));
        }

        foreach (var (from, to) in Prefixes)
        {
            if (name.StartsWith(from, StringComparison.Ordinal))
            {
                if (to is null)
                {
                    return null;
                }

                name = string.Concat(to, name.AsSpan(from.Length));
            }
        }

        foreach (var (from, to) in Suffixes)
        {
            if (name.EndsWith(from, StringComparison.Ordinal))
            {
                if (to is null)
                {
                    return null;
                }

                name = string.Concat(name.AsSpan(0, name.Length - from.Length), to);
            }
        }

        return name;
    }

    /// <summary>Gives all names of a checkpoint, and sees to it that no two become one.</summary>
    /// <param name="names">The names in the checkpoint, each once.</param>
    /// <returns>Those that are not left out, in their order, each with its other name.</returns>
    /// <exception cref="ModelMismatchException">Two names become one, or one becomes empty; the message has all of them.</exception>
    public ImmutableArray<(string Name, string Mapped)> MapAll(IEnumerable<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        var from = new Dictionary<string, string>(StringComparer.Ordinal);
        var mapped = ImmutableArray.CreateBuilder<(string, string)>();
        var problems = ImmutableArray.CreateBuilder<string>();
        foreach (var name in names)
        {
            if (Map(name) is not { } other)
            {
                continue;
            }

            if (other.Length == 0)
            {
                problems.Add($"by its rules the name of tensor {Quoted.Name(name)} becomes empty");
            }
            else if (!from.TryAdd(other, name))
            {
                problems.Add($"by the rules both {Quoted.Name(from[other])} and {Quoted.Name(name)} become {Quoted.Name(other)}");
            }
            else
            {
                mapped.Add((name, other));
            }
        }

        return problems.Count == 0
            ? mapped.DrainToImmutable()
            : throw new ModelMismatchException(null, problems.DrainToImmutable(), "Change the rules, or leave one of the tensors out.");
    }

    private static ImmutableArray<NameRule> Check(IEnumerable<NameRule>? rules, string kind, bool mayBeEmpty, string parameterName)
    {
        ImmutableArray<NameRule> checkedRules = [.. rules ?? []];
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (from, _) in checkedRules)
        {
            if (from is null || (from.Length == 0 && !mayBeEmpty))
            {
                throw new ArgumentException($"A rule for a {kind} must say which.", parameterName);
            }

            if (!seen.Add(from))
            {
                throw new ArgumentException($"There are two rules for the {kind} {Quoted.Name(from)}.", parameterName);
            }
        }

        return checkedRules;
    }
}
