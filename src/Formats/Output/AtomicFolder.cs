namespace IlgpuLoader.Formats;

/// <summary>
/// A folder that appears with all its files or not at all: it is filled under a temporary name beside its target and
/// renamed at the end. Without <see cref="Commit"/> nothing is left behind.
/// </summary>
public sealed class AtomicFolder : IDisposable
{
    private readonly bool _overwrite;
    private bool _committed;

    private AtomicFolder(string path, string temporaryPath, bool overwrite)
    {
        Path = path;
        TemporaryPath = temporaryPath;
        _overwrite = overwrite;
    }

    /// <summary>Where the folder will appear.</summary>
    public string Path { get; }

    /// <summary>Where files are to be written until then.</summary>
    public string TemporaryPath { get; }

    /// <summary>Begins a folder.</summary>
    /// <param name="path">Where the folder will appear.</param>
    /// <param name="overwrite">Whether a folder that is there and not empty is replaced as a whole.</param>
    /// <exception cref="IOException">A file, or a folder that is not empty, is there and may not be replaced.</exception>
    public static AtomicFolder Create(string path, bool overwrite = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        if (File.Exists(full) || (!overwrite && Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any()))
        {
            throw new IOException($"{path}: this already exists and would be replaced; choose another name or remove it first.");
        }

        var temporary = TemporaryName.Beside(full);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(full)!);
        Directory.CreateDirectory(temporary);
        return new AtomicFolder(full, temporary, overwrite);
    }

    /// <summary>Gives the folder its name. The files in it must have been forced to disk, as <see cref="AtomicFile"/> does.</summary>
    public void Commit()
    {
        FolderSync.Flush(TemporaryPath);
        string? aside = null;
        if (Directory.Exists(Path))
        {
            if (_overwrite)
            {
                aside = TemporaryName.Beside(Path);
                Directory.Move(Path, aside);
            }
            else
            {
                DeleteEmpty();
            }
        }

        try
        {
            Directory.Move(TemporaryPath, Path);
        }
        catch when (aside is not null)
        {
            Directory.Move(aside, Path);
            throw;
        }

        _committed = true;
        FolderSync.Flush(System.IO.Path.GetDirectoryName(Path)!);
        if (aside is not null)
        {
            Directory.Delete(aside, recursive: true);
        }
    }

    /// <summary>Removes what was written if it was not committed.</summary>
    public void Dispose()
    {
        if (!_committed && Directory.Exists(TemporaryPath))
        {
            Directory.Delete(TemporaryPath, recursive: true);
        }
    }

    // Only an empty folder was accepted; if something has come into it since, nothing of that is lost.
    private void DeleteEmpty()
    {
        try
        {
            Directory.Delete(Path);
        }
        catch (IOException exception) when (Directory.Exists(Path))
        {
            throw new IOException(
                $"{Path}: something else has written here meanwhile, and it was not replaced; choose another name.", exception);
        }
    }
}
