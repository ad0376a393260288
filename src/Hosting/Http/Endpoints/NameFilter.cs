using Microsoft.Extensions.Primitives;

namespace IlgpuLoader.Hosting;

/// <summary>
/// Chooses tensors by name, without regard to case: by a text that the name contains, or by a pattern of the whole name where there is a <c>*</c> (any characters) or <c>?</c> (one) in it. Immutable.
/// </summary>
internal readonly struct NameFilter
{
    /// <summary>The longest filter: longer than any name of a published model, and short enough that a pattern against a hundred thousand names is no attack.</summary>
    public const int MaximumLength = 256;

    private readonly string _text;
    private readonly bool _isPattern;

    private NameFilter(string text)
    {
        _text = text.ToUpperInvariant();
        _isPattern = text.AsSpan().ContainsAny('*', '?');
    }

    /// <summary>Reads the parameter of a query.</summary>
    public static NameFilter Parse(StringValues values, List<Problem> problems)
    {
        if (values.Count > 1 || values is [{ Length: > MaximumLength }])
        {
            problems.Add(Problem.InvalidQuery("filter", values.ToString(), $"one text of at most {MaximumLength} characters"));
            return new NameFilter("");
        }

        return new NameFilter(values is [{ } text] ? text : "");
    }

    /// <summary>Whether a name is chosen.</summary>
    public bool Matches(ReadOnlySpan<char> name) =>
        _text.Length == 0 || (_isPattern ? MatchesWhole(_text, name) : name.Contains(_text, StringComparison.OrdinalIgnoreCase));

    // Goes back to the last star alone, so that the time is the product of the lengths at most.
    private static bool MatchesWhole(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        var (at, position) = (0, 0);
        var (afterStar, retry) = (-1, 0);
        while (position < name.Length)
        {
            if (at < pattern.Length && pattern[at] == '*')
            {
                (afterStar, retry) = (++at, position);
            }
            else if (at < pattern.Length && (pattern[at] == '?' || pattern[at] == char.ToUpperInvariant(name[position])))
            {
                at++;
                position++;
            }
            else if (afterStar >= 0)
            {
                (at, position) = (afterStar, ++retry);
            }
            else
            {
                return false;
            }
        }

        return pattern[at..].TrimStart('*').IsEmpty;
    }
}
