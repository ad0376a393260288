using System.Collections.Immutable;
using System.Text.RegularExpressions;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Which modules the lists of a configuration mean. They name modules as checkpoints do; a module that a model packs is meant by its parts.</summary>
internal static class ModuleNames
{
    private const string Pattern = "re:";

    // Patterns come from files: one that the linear engine does not take must not keep a load busy.
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(1);

    /// <summary>A module's parts as the checkpoint names them; its own name where it packs none.</summary>
    /// <param name="prefix">The full name.</param>
    /// <param name="packed">Packed modules and their parts.</param>
    // Not ParamMapping.GetSubModules: that takes what a name ends with, so that "x_qkv_proj" would be one too, and copies a table that the model may still change.
    public static ImmutableArray<string> Parts(string prefix, IReadOnlyDictionary<string, ImmutableArray<string>> packed)
    {
        var dot = prefix.LastIndexOf('.') + 1;
        return packed.TryGetValue(prefix[dot..], out var parts) ? [.. parts.Select(part => string.Concat(prefix.AsSpan(0, dot), part))] : [prefix];
    }

    /// <summary>What a configuration says of a module, which it has to say of all its parts.</summary>
    /// <param name="prefix">The full name.</param>
    /// <param name="packed">Packed modules and their parts.</param>
    /// <param name="ask">What it says of a module that is not packed.</param>
    /// <exception cref="ModelMismatchException">It says different things of parts that are packed together.</exception>
    public static T OfAllParts<T>(string prefix, IReadOnlyDictionary<string, ImmutableArray<string>> packed, Func<string, T> ask)
    {
        var parts = Parts(prefix, packed);
        var answers = parts.Select(ask).ToArray();
        if (answers.Any(answer => !EqualityComparer<T>.Default.Equals(answer, answers[0])))
        {
            throw new ModelMismatchException(
                null,
                [
                    $"the parts of {Quoted.Name(prefix)} are quantised differently ({string.Join(", ", parts.Zip(answers, (part, answer) => $"{Quoted.Plain(part)}: {Said(answer)}"))}), and a packed layer has one "
                    + "quantisation",
                ]);
        }

        return answers[0];
    }

    /// <summary>Whether an entry is a module, contains it, or is the last names of it: <c>lm_head</c>, <c>model.layers.0.mlp</c>, <c>mlp.gate</c>.</summary>
    public static bool IsWithin(string name, string entry)
    {
        if (entry.Length == 0)
        {
            return false;
        }

        for (var at = name.IndexOf(entry, StringComparison.Ordinal); at >= 0; at = name.IndexOf(entry, at + 1, StringComparison.Ordinal))
        {
            var end = at + entry.Length;
            if ((at == 0 || name[at - 1] == '.') && (end == name.Length || name[end] == '.'))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether an entry is a name, or, behind <c>re:</c>, a pattern that it begins with (Python's <c>re.match</c>).</summary>
    /// <exception cref="UnsupportedCheckpointException">The pattern is not one of .NET's, or takes too long.</exception>
    public static bool IsNameOrPattern(string name, string entry) =>
        entry.StartsWith(Pattern, StringComparison.Ordinal) ? Matches(name, entry[Pattern.Length..]) : name == entry;

    /// <summary>Whether a name begins with what a pattern says.</summary>
    /// <inheritdoc cref="IsNameOrPattern" path="/exception"/>
    public static bool Matches(string name, string pattern)
    {
        const RegexOptions options = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture;
        var anchored = $@"\A(?:{pattern})";
        try
        {
            try
            {
                return Regex.IsMatch(name, anchored, options | RegexOptions.NonBacktracking, PatternTimeout);
            }
            catch (NotSupportedException)
            {
                // It looks ahead, or refers back.
                return Regex.IsMatch(name, anchored, options & ~RegexOptions.ExplicitCapture, PatternTimeout);
            }
        }
        catch (Exception exception) when (exception is ArgumentException or RegexMatchTimeoutException)
        {
            throw new UnsupportedCheckpointException(
                "a pattern of module names",
                null,
                $"the quantisation's pattern {Quoted.Name(pattern)} {(exception is ArgumentException ? "cannot be read" : $"takes too long on module {Quoted.Name(name)}")}: {Quoted.Plain(exception.Message)}");
        }
    }

    private static string Said<T>(T answer) => answer switch
    {
        true => "not quantised",
        false => "quantised",
        null => "not quantised",
        _ => Quoted.Plain(answer.ToString() ?? ""),
    };
}
