namespace IlgpuLoader.Loading;

/// <summary>
/// Patterns that choose tensors by name: <c>*</c> stands for any characters, <c>?</c> for one, and a <c>\</c> before a
/// character for that character itself. The whole name counts, case included.
/// </summary>
/// <remarks>
/// Not .NET's patterns for file names: those never match an empty name, which a tensor may have, and take <c>\?</c> for
/// any character.
/// </remarks>
internal static class NamePattern
{
    /// <summary>Whether a name fits a pattern. Takes time in proportion to the product of their lengths at most.</summary>
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        var (at, position) = (0, 0);
        // Where to go on if the characters after the last star do not fit: one character later.
        var (afterStar, retry) = (-1, 0);
        while (position < name.Length)
        {
            if (at < pattern.Length && pattern[at] == '*')
            {
                (afterStar, retry) = (++at, position);
            }
            else if (FitsOne(pattern[at..], name[position], out var taken))
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

    /// <summary>The pattern that only this name fits.</summary>
    public static string Exactly(string name) => name.Replace("\\", "\\\\").Replace("*", "\\*").Replace("?", "\\?");

    private static bool FitsOne(ReadOnlySpan<char> pattern, char character, out int taken)
    {
        var escaped = pattern is ['\\', _, ..];
        taken = escaped ? 2 : 1;
        return !pattern.IsEmpty && ((!escaped && pattern[0] == '?') || pattern[taken - 1] == character);
    }
}
