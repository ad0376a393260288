namespace IlgpuLoader.Formats;

/// <summary>How much can still be written to a disk.</summary>
public static class FreeSpace
{
    /// <summary>
    /// How many bytes are free for this process on the file system that a path is on, or will be on; what only an
    /// administrator may use counts for one only.
    /// </summary>
    /// <param name="path">A file or folder; where it is missing, what counts is the nearest folder above that is there.</param>
    /// <returns>
    /// Null where that is not known: on file systems that have no sizes, such as ramfs and some network file systems, and on
    /// Windows, where a drive letter says nothing of a volume that is mounted in a folder.
    /// </returns>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    public static long? Of(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        try
        {
            var drive = new DriveInfo(OutputPath.FindNearestFolder(Path.GetFullPath(path)));
            return drive.TotalSize <= 0 ? null
                : Environment.IsPrivilegedProcess ? drive.TotalFreeSpace
                : drive.AvailableFreeSpace;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // What may not be looked into: the write itself says so.
            return null;
        }
    }
}
