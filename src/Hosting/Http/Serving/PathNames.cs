using IlgpuLoader.Formats;

namespace IlgpuLoader.Hosting;

/// <summary>Names models after their paths.</summary>
internal static class PathNames
{
    // What the options allow.
    private const int LongestName = 64;

    /// <summary>A name for each path: its file's without the extension, or its folder's, with <c>-</c> for what names do not have; <c>-2</c> and so on where one is taken.</summary>
    public static IEnumerable<(string Name, string Path)> Of(IEnumerable<string> paths, IEnumerable<string> taken)
    {
        var names = new HashSet<string>(taken, StringComparer.OrdinalIgnoreCase);
        foreach (var path in paths)
        {
            var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(AddressScheme.WithoutSecrets(path)));
            var plain = Clean(Directory.Exists(full) ? Path.GetFileName(full) : Path.GetFileNameWithoutExtension(full));
            var name = plain;
            for (var number = 2; !names.Add(name); number++)
            {
                var suffix = $"-{number}";
                name = string.Concat(plain.AsSpan(0, Math.Min(plain.Length, LongestName - suffix.Length)), suffix);
            }

            yield return (name, path);
        }
    }

    private static string Clean(string name)
    {
        var clean = string.Concat(name.Select(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-' ? character : '-'));
        return clean switch
        {
            // The root of a file system.
            "" => "model",
            { Length: > LongestName } => clean[..LongestName],
            _ => clean,
        };
    }
}
