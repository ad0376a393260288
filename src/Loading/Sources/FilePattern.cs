namespace IlgpuLoader.Loading;

/// <summary>
/// Patterns of whole paths and keys as Python's <c>fnmatchcase</c> reads them: <c>*</c> is any characters, slashes and line ends among them, <c>?</c> is one, <c>[abc]</c>, <c>[a-z]</c> and <c>[!a-z]</c> are one of or none of
/// these. A bracket that nothing closes is itself; nothing escapes. Capitals count.
/// </summary>
/// <remarks>Not <see cref="NamePattern"/>, in which a backslash escapes and brackets are themselves: that is what users choose tensors with, and this is what documents of Python say of files.</remarks>
internal static class FilePattern
{
    /// <summary>Whether a path, all of it, fits a pattern. Takes time in proportion to the product of their lengths at most.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="path">The path.</param>
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> path)
    {
        // Where to go on if what follows the last star does not fit: one character later.
        var hasStar = false;
        ReadOnlySpan<char> afterStar = default, retry = default;
        while (!path.IsEmpty)
        {
            if (pattern is ['*', ..])
            {
                pattern = pattern[1..];
                hasStar = true;
                afterStar = pattern;
                retry = path;
                continue;
            }

            if (TakeIfFits(ref pattern, ref path))
            {
                continue;
            }

            if (!hasStar)
            {
                return false;
            }

            _ = Take(ref retry);
            pattern = afterStar;
            path = retry;
        }

        return pattern.TrimStart('*').IsEmpty;
    }

    // Takes one character of the path and what stands for it in the pattern.
    private static bool TakeIfFits(ref ReadOnlySpan<char> pattern, ref ReadOnlySpan<char> path)
    {
        if (pattern.IsEmpty)
        {
            return false;
        }

        var character = Take(ref path);
        if (pattern[0] == '[' && EndOfSet(pattern) is { } end)
        {
            var isOthers = pattern[1] == '!';
            var fits = IsInSet(pattern[(isOthers ? 2 : 1)..end], character) != isOthers;
            pattern = pattern[(end + 1)..];
            return fits;
        }

        var expected = Take(ref pattern);
        return expected == '?' || expected == character;
    }

    // A bracket that is first in the set belongs to it; a set that does not end is none.
    private static int? EndOfSet(ReadOnlySpan<char> pattern)
    {
        var start = pattern is [_, '!', ..] ? 2 : 1;
        if (start < pattern.Length && pattern[start] == ']')
        {
            start++;
        }

        var end = start < pattern.Length ? pattern[start..].IndexOf(']') : -1;
        return end < 0 ? null : start + end;
    }

    private static bool IsInSet(ReadOnlySpan<char> set, int character)
    {
        while (!set.IsEmpty)
        {
            var first = Take(ref set);
            var last = first;
            // A hyphen at the end is itself.
            if (set is ['-', _, ..])
            {
                set = set[1..];
                last = Take(ref set);
            }

            // A range that goes backwards has nothing in it.
            if (first <= character && character <= last)
            {
                return true;
            }
        }

        return false;
    }

    // A pair of surrogates is one character.
    private static int Take(ref ReadOnlySpan<char> text)
    {
        var isPair = text.Length > 1 && char.IsSurrogatePair(text[0], text[1]);
        var character = isPair ? char.ConvertToUtf32(text[0], text[1]) : text[0];
        text = text[(isPair ? 2 : 1)..];
        return character;
    }
}
