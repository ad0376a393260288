using System.Text;
using System.Text.RegularExpressions;

namespace IlgpuLoader.Loading;

/// <summary>
/// A pattern of whole keys as Python's <c>fnmatch</c> reads it where capitals count: <c>*</c> is any characters, slashes and line ends among them, <c>?</c> is one, <c>[abc]</c>, <c>[a-z]</c> and <c>[!a-z]</c> are one of or none of
/// these. A bracket that nothing closes is itself; nothing escapes. In brackets stand characters of the Basic Multilingual Plane alone. Immutable and safe for any thread.
/// </summary>
internal sealed class KeyPattern
{
    // A pair of surrogates is one.
    private const string OneCharacter = @"(?:[\ud800-\udbff][\udc00-\udfff]|[^\ud800-\udbff])";

    private readonly Regex _expression;

    /// <summary>Reads a pattern.</summary>
    public KeyPattern(string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        // Without backtracking no pattern takes longer than the key times the pattern.
        _expression = new Regex(Translate(pattern), RegexOptions.CultureInvariant | RegexOptions.Singleline | RegexOptions.NonBacktracking);
    }

    /// <summary>Whether a key, all of it, fits.</summary>
    public bool Matches(string key) => _expression.IsMatch(key);

    private static string Translate(string pattern)
    {
        var expression = new StringBuilder(@"\A");
        for (var i = 0; i < pattern.Length; i++)
        {
            var close = pattern[i] == '[' ? CloseOf(pattern, i) : -1;
            if (close > 0)
            {
                AppendSet(expression, pattern.AsSpan(i + 1, close - i - 1));
                i = close;
                continue;
            }

            _ = expression.Append(pattern[i] switch
            {
                '*' => ".*",
                '?' => OneCharacter,
                var character => Literal(character),
            });
        }

        return expression.Append(@"\z").ToString();
    }

    // The first character of a set, behind the '!', is of it, also where it is a bracket.
    private static int CloseOf(string pattern, int open)
    {
        var first = open + 1 < pattern.Length && pattern[open + 1] == '!' ? open + 2 : open + 1;
        return first + 1 <= pattern.Length ? pattern.IndexOf(']', Math.Min(first + 1, pattern.Length)) : -1;
    }

    private static void AppendSet(StringBuilder expression, ReadOnlySpan<char> set)
    {
        var isOthers = set[0] == '!';
        set = isOthers ? set[1..] : set;
        var members = new StringBuilder();
        for (var i = 0; i < set.Length; i++)
        {
            if (i + 2 < set.Length && set[i + 1] == '-')
            {
                // A range that goes backwards has nothing in it.
                if (set[i] <= set[i + 2])
                {
                    _ = members.Append(Literal(set[i])).Append('-').Append(Literal(set[i + 2]));
                }

                i += 2;
            }
            else
            {
                _ = members.Append(Literal(set[i]));
            }
        }

        // What is one of none is nothing, and none of none is anything.
        _ = members.Length == 0 ? expression.Append(isOthers ? OneCharacter : @"[^\s\S]") : expression.Append(isOthers ? "[^" : "[").Append(members).Append(']');
    }

    // By its code, so that nothing has a meaning of its own, in a set or outside.
    private static string Literal(char character) => $@"\u{(int)character:x4}";
}
