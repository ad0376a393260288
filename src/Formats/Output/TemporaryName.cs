using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace IlgpuLoader.Formats;

/// <summary>Names for what is not finished yet, and for what is about to be replaced.</summary>
internal static class TemporaryName
{
    // Linux file systems allow names of 255 bytes; 64 characters take at most 192 of them, the rest of the name 38.
    private const int LongestStem = 64;

    // Beside an identifier of 64 ASCII characters less is left: 61 characters take at most 183 bytes, the rest of the name 71.
    private const int LongestSaveStem = 61;
    private const int HashDigits = 16;

    private const int RandomCharacters = 32;
    private const int LongestSaveId = 64;
    private const string Unfinished = ".tmp";
    private const string SetAside = ".old";
    private const string Save = ".save-";

    private static readonly SearchValues<char> SaveIdCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

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

    /// <summary>
    /// The hidden name, in the same folder, of what several processes fill together: the same for all that have the same target
    /// and identifier, another for any other.
    /// </summary>
    public static string OfSave(string fullPath, string id) =>
        Path.Combine(Path.GetDirectoryName(fullPath)!, $".{SaveStem(Path.GetFileName(fullPath))}{Save}{id}");

    /// <summary>Whether this is the name of an entry that <see cref="OfSave"/> gave for a target.</summary>
    /// <param name="entry">The entry's base name.</param>
    /// <param name="target">The target's base name.</param>
    public static bool IsSaveOf(ReadOnlySpan<char> entry, string target)
    {
        var start = $".{SaveStem(target)}{Save}";
        return entry.StartsWith(start, StringComparison.Ordinal) && IsSaveId(entry[start.Length..]);
    }

    /// <summary>
    /// Whether a save may be called this: 1 to 64 letters and digits of ASCII, full stops, hyphens and underscores, the first no
    /// full stop. What would make its folder's name look like one of another target (<c>.save-</c>), or like one that is not
    /// finished, is left out.
    /// </summary>
    public static bool IsSaveId(ReadOnlySpan<char> id) =>
        id.Length is > 0 and <= LongestSaveId
        && id[0] != '.'
        && !id.ContainsAnyExcept(SaveIdCharacters)
        && !id.Contains(Save, StringComparison.Ordinal)
        && !id.EndsWith(Unfinished, StringComparison.Ordinal)
        && !id.EndsWith(SetAside, StringComparison.Ordinal);

    /// <summary>Refuses what no save can be called.</summary>
    /// <exception cref="ArgumentException">It cannot be the identifier of a save.</exception>
    public static void ThrowIfNoSaveId(string id)
    {
        ArgumentException.ThrowIfNullOrEmpty(id);
        if (!IsSaveId(id))
        {
            throw new ArgumentException(
                $"{Quoted.Name(id)} is no identifier of a save: 1 to 64 letters and digits of ASCII, '.', '_' and '-', not beginning with '.', "
                + "without '.save-', not ending with '.tmp' or '.old'.",
                nameof(id));
        }
    }

    // Cut names would be the same for several targets, whose shares would come together: a hash of the rest tells them apart.
    private static string SaveStem(string target) =>
        target.Length <= LongestSaveStem
            ? target
            : $"{Cut(target, LongestSaveStem - HashDigits - 1)}~{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(target)))[..HashDigits]}";

    private static string Create(string fullPath, string ending) =>
        Path.Combine(Path.GetDirectoryName(fullPath)!, $".{Stem(Path.GetFileName(fullPath.AsSpan()))}.{Guid.NewGuid():N}{ending}");

    private static ReadOnlySpan<char> Stem(ReadOnlySpan<char> name) => Cut(name, LongestStem);

    // Half of a surrogate pair would come back from the file system as another character.
    private static ReadOnlySpan<char> Cut(ReadOnlySpan<char> name, int longest) =>
        name.Length <= longest ? name
            : char.IsHighSurrogate(name[longest - 1]) ? name[..(longest - 1)]
            : name[..longest];
}
