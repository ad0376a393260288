using System.IO.Compression;

namespace IlgpuLoader.TestKit;

/// <summary>
/// A set of golden files, packed into one archive (<c>Golden/*.zip</c>) so that hundreds of small files do not hide the
/// tree. Files written by reference implementations, and listings of models' names, reconstructed from their configurations; never changed to make a test pass.
/// </summary>
public static class GoldenArchive
{
    /// <summary>The names of all files of a set.</summary>
    public static IReadOnlyList<string> Names(string set)
    {
        using var archive = Open(set);
        return [.. archive.Entries.Where(entry => !entry.FullName.EndsWith('/')).Select(entry => entry.FullName)];
    }

    /// <summary>The content of one file of a set.</summary>
    public static byte[] Read(string set, string name)
    {
        using var archive = Open(set);
        var entry = archive.GetEntry(name) ?? throw new FileNotFoundException($"{set}.zip holds no {name}.", name);
        using var stream = entry.Open();
        var content = new byte[entry.Length];
        stream.ReadExactly(content);
        return content;
    }

    /// <summary>Unpacks a set into a folder.</summary>
    public static void ExtractTo(string set, string folder)
    {
        using var archive = Open(set);
        archive.ExtractToDirectory(folder);
    }

    private static ZipArchive Open(string set) =>
        new(typeof(GoldenArchive).Assembly.GetManifestResourceStream(set + ".zip")
            ?? throw new FileNotFoundException($"There is no golden set {set}."));
}
