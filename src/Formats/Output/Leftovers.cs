using System.IO.Enumeration;

namespace IlgpuLoader.Formats;

/// <summary>
/// Removes what killed runs left beside a target. Everything that is in use is locked by its writer, and a lock ends
/// with its process: what can be locked is stale.
/// </summary>
internal static class Leftovers
{
    private static readonly EnumerationOptions All = new() { AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true };

    /// <summary>Removes what is stale; leaves what another writer holds, and what may not be removed.</summary>
    /// <param name="target">The full path of the file or folder that is about to be written.</param>
    /// <param name="calls">The calls of the system.</param>
    public static void Remove(string target, FileSystemCalls calls)
    {
        foreach (var entry in Find(target))
        {
            try
            {
                Remove(entry, target, calls);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Another writer removes it at the same time, or it is another user's: no reason not to write.
            }
        }
    }

    /// <summary>
    /// The folder that was set aside for the successor of a target which is not there: that of a run that was killed between two renames, or is between
    /// them. Null where the target is there, or nothing was set aside.
    /// </summary>
    /// <param name="path">The target, of which nothing is changed.</param>
    public static string? FindSetAside(string path)
    {
        try
        {
            var target = OutputPath.ResolveFolder(path);
            return Path.Exists(target) ? null : Find(target).Find(entry => entry is DirectoryInfo && TemporaryName.IsAside(entry.Name))?.FullName;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // No path of a folder: what opens it says so.
            return null;
        }
    }

    private static List<FileSystemInfo> Find(string target)
    {
        var name = Path.GetFileName(target);
        try
        {
            return [.. new FileSystemEnumerable<FileSystemInfo>(
                Path.GetDirectoryName(target)!, (ref entry) => entry.ToFileSystemInfo(), All)
            {
                ShouldIncludePredicate = (ref entry) => TemporaryName.IsFor(entry.FileName, name),
            }];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Where the folder is missing or cannot be listed, the write itself says so, if it minds.
            return [];
        }
    }

    private static void Remove(FileSystemInfo entry, string target, FileSystemCalls calls)
    {
        if (entry.LinkTarget is not null)
        {
            // Links are never written under such a name; this one was exchanged for what replaced it.
            entry.Delete();
        }
        else if (entry is DirectoryInfo folder)
        {
            using var handle = calls.TryOpenFolder(folder.FullName);
            if (handle is null || calls.Lock(handle, exclusive: true) != LockOutcome.Taken)
            {
                return;
            }

            if (TemporaryName.IsAside(folder.Name) && !Path.Exists(target))
            {
                // The run was killed between setting the old folder aside and naming the new one.
                calls.MoveFolder(folder.FullName, target);
                return;
            }

            folder.Delete(recursive: true);
        }
        else
        {
            // Read and write, because some network file systems lock exclusively only what may be written.
            using var handle = File.OpenHandle(entry.FullName, FileMode.Open, FileAccess.ReadWrite, FileShare.Delete);
            if (calls.Lock(handle, exclusive: true) == LockOutcome.Taken)
            {
                entry.Delete();
            }
        }
    }
}
