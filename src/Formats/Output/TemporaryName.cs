namespace IlgpuLoader.Formats;

/// <summary>Names for what is not finished yet, and for what is about to be replaced.</summary>
internal static class TemporaryName
{
    // Linux file systems allow names of 255 bytes; 64 characters take at most 192 of them, the rest of the name 38.
    private const int LongestStem = 64;

    private const int RandomCharacters = 32;
    private const string Unfinished = ".tmp";
    private const string SetAside = ".old";

    /// <summary>A new hidden name in the same folder, so that a rename cannot cross file systems.</summary>
    public static string Beside(string fullPath) => Create(fullPath, Unfinished);

    /// <summary>
    /// A new hidden name in the same folder for a whole folder that makes room for its successor: what a run leaves
    /// under it that is killed right then is the only copy.
    /// </summary>
    public static string Aside(string fullPath) => Create(fullPath, SetAside);

    /// <summary>Whether this is the name of an entry that <see cref="Beside"/> or <see cref="Aside"/> gave for a target.</summary>
    /// <param name="entry">The entry's base name.</param>
    /// <param name="target">The target's base name.</param>
    public static bool IsFor(ReadOnlySpan<char> entry, ReadOnlySpan<char> target)
    {
        var stem = Stem(target);
        if (entry is not ['.', .. var name] || name.Length != stem.Length + 1 + RandomCharacters + Unfinished.Length
            || !name.StartsWith(stem, StringComparison.Ordinal))
        {
            return false;
        }

        var rest = name[stem.Length..];
        return rest[0] == '.'
            && Guid.TryParseExact(rest.Slice(1, RandomCharacters), "N", out _)
            && (rest.EndsWith(Unfinished, StringComparison.Ordinal) || IsAside(rest));
    }

    /// <summary>Whether this name came from <see cref="Aside"/>.</summary>
    public static bool IsAside(ReadOnlySpan<char> entry) => entry.EndsWith(SetAside, StringComparison.Ordinal);

    private static string Create(string fullPath, string ending) =>
        Path.Combine(Path.GetDirectoryName(fullPath)!, $".{Stem(Path.GetFileName(fullPath.AsSpan()))}.{Guid.NewGuid():N}{ending}");

    // Half of a surrogate pair would come back from the file system as another character.
    private static ReadOnlySpan<char> Stem(ReadOnlySpan<char> name) =>
        name.Length <= LongestStem ? name
            : char.IsHighSurrogate(name[LongestStem - 1]) ? name[..(LongestStem - 1)]
            : name[..LongestStem];
}
