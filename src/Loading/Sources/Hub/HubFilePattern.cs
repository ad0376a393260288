namespace IlgpuLoader.Loading;

/// <summary>
/// Chooses files by patterns as huggingface_hub does: those of Python's <c>fnmatchcase</c>, where <c>*</c> stands for any characters, slashes among them, <c>?</c> for one, <c>[abc]</c>, <c>[a-z]</c> and <c>[!abc]</c> for one
/// of some; a pattern that ends in a slash means all below it.
/// </summary>
internal static class HubFilePattern
{
    /// <summary>The paths that any pattern allows and none ignores, in their order.</summary>
    /// <param name="paths">The paths.</param>
    /// <param name="allow">The patterns of what is wanted; null for all.</param>
    /// <param name="ignore">The patterns of what is not.</param>
    public static IEnumerable<string> Filter(IEnumerable<string> paths, IReadOnlyCollection<string>? allow, IReadOnlyCollection<string>? ignore) =>
        paths.Where(path => (allow is null || allow.Any(pattern => Matches(Whole(pattern), Slashes(path)))) && ignore?.Any(pattern => Matches(Whole(pattern), Slashes(path))) != true);

    /// <summary>The paths that options want, in their order.</summary>
    /// <param name="paths">The paths of all files.</param>
    /// <param name="options">What is wanted.</param>
    /// <param name="missing">What it is told as that nothing is at a path.</param>
    /// <exception cref="RemoteException">Nothing is at the path of the options.</exception>
    public static IEnumerable<string> Filter(IReadOnlyList<string> paths, HubDownloadOptions options, Func<string, RemoteException> missing)
    {
        if (options.Path is not { } wanted)
        {
            return Filter(paths, options.AllowPatterns, options.IgnorePatterns);
        }

        string[] below = [.. paths.Where(path => path == wanted || path.StartsWith(wanted + "/", StringComparison.Ordinal))];
        return below.Length > 0 ? Filter(below, options.AllowPatterns, options.IgnorePatterns) : throw missing(wanted);
    }

    /// <summary>Whether a path fits a pattern. Takes time in proportion to the product of their lengths at most.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="path">The path.</param>
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> path)
    {
        var (at, position) = (0, 0);
        // Where to go on if the characters after the last star do not fit: one character later.
        var (afterStar, retry) = (-1, 0);
        while (position < path.Length)
        {
            if (at < pattern.Length && pattern[at] == '*')
            {
                (afterStar, retry) = (++at, position);
            }
            else if (FitsOne(pattern[at..], path[position], out var taken))
            {
                at += taken;
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

    private static string Whole(string pattern) => Slashes(pattern) is var slashed && slashed.EndsWith('/') ? slashed + "*" : slashed;

    private static string Slashes(string text) => text.Replace('\\', '/');

    private static bool FitsOne(ReadOnlySpan<char> pattern, char character, out int taken)
    {
        taken = 1;
        if (pattern.IsEmpty)
        {
            return false;
        }

        if (pattern[0] != '[' || EndOfSet(pattern) is not { } end)
        {
            return pattern[0] == '?' || pattern[0] == character;
        }

        taken = end + 1;
        var isNegated = pattern[1] == '!';
        return FitsSet(pattern[(isNegated ? 2 : 1)..end], character) != isNegated;
    }

    // A bracket that is first in the set belongs to it; a set that does not end is none.
    private static int? EndOfSet(ReadOnlySpan<char> pattern)
    {
        var start = pattern.Length > 1 && pattern[1] == '!' ? 2 : 1;
        if (start < pattern.Length && pattern[start] == ']')
        {
            start++;
        }

        var end = start < pattern.Length ? pattern[start..].IndexOf(']') : -1;
        return end < 0 ? null : start + end;
    }

    private static bool FitsSet(ReadOnlySpan<char> set, char character)
    {
        for (var i = 0; i < set.Length; i++)
        {
            if (i + 2 < set.Length && set[i + 1] == '-')
            {
                if (set[i] <= character && character <= set[i + 2])
                {
                    return true;
                }

                i += 2;
            }
            else if (set[i] == character)
            {
                return true;
            }
        }

        return false;
    }
}
