using System.IO.Enumeration;

namespace IlgpuLoader.Formats;

/// <summary>The files of a folder that an audit looks at.</summary>
internal static class AuditedFolder
{
    private static readonly string[] Extensions = [".bin", ".pt", ".pth", ".pyt", ".th", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz"];

    /// <summary>Whether a file's name is that of a file with a pickle.</summary>
    public static bool IsNamedAsPickle(string path) => Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);

    /// <summary>All files in a folder and below it, in the order of their names.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    public static IReadOnlyList<string> FilesOf(string folder, CancellationToken cancellationToken)
    {
        // Links to files are followed, as caches of models are full of them; those to folders may lead round in circles.
        var files = new FileSystemEnumerable<string>(
            folder,
            (ref FileSystemEntry entry) => entry.ToSpecifiedFullPath(),
            new EnumerationOptions { AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true, RecurseSubdirectories = true })
        {
            ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory,
            ShouldRecursePredicate = (ref FileSystemEntry entry) => !entry.Attributes.HasFlag(FileAttributes.ReparsePoint),
        };
        var paths = new List<string>();
        foreach (var path in files)
        {
            cancellationToken.ThrowIfCancellationRequested();
            paths.Add(path);
        }

        paths.Sort(NaturalOrder.Instance);
        return paths;
    }
}
