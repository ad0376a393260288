namespace IlgpuLoader.Formats;

/// <summary>
/// A hidden file that is held open as a lock: it says that somebody lives, where a lock on a folder cannot say who. Disposing removes it, and so
/// does the end of a process on Windows; elsewhere a file is left that nobody holds.
/// </summary>
internal sealed class SaveLockFile : IDisposable
{
    /// <summary>What such a file's name ends with.</summary>
    public const string Ending = ".lock";

    private readonly FileStream _file;

    private SaveLockFile(FileStream file) => _file = file;

    /// <summary>The lock of a member within its save's folder.</summary>
    public static string OfMember(string folder, int member) => Path.Combine(folder, "." + Path.ChangeExtension(RankManifest.FileName(member), null) + Ending);

    /// <summary>The lock of a whole save, beside its folder.</summary>
    public static string OfSave(string folder) => folder + Ending;

    /// <summary>Takes a lock; null where another has it. A file system without locks gives it to everyone.</summary>
    /// <param name="path">The file, in a folder that is there.</param>
    /// <exception cref="IOException">The file cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static SaveLockFile? TryTake(string path)
    {
        try
        {
            return new SaveLockFile(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose));
        }
        catch (IOException exception) when (exception is not DirectoryNotFoundException && File.Exists(path))
        {
            return null;
        }
    }

    /// <summary>Whether somebody holds a save: as a whole, or one of its members. Files that nobody holds are removed.</summary>
    /// <param name="folder">The save's folder.</param>
    public static bool IsAnyHeld(string folder)
    {
        foreach (var path in Directory.EnumerateFiles(folder, ".*" + Ending).Append(OfSave(folder)).Where(File.Exists).ToList())
        {
            using var taken = TryTake(path);
            if (taken is null)
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
