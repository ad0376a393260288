using System.IO.Enumeration;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// The hidden folder beside a target that the members of one save fill, wherever they run; each holds it locked while it
/// lives. Making, locking, renaming and removing happen under a lock on the folder above. Not safe for several threads.
/// </summary>
internal sealed class SaveFolder : IDisposable
{
    private static readonly EnumerationOptions All = new() { AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true };

    private readonly FileSystemCalls _calls;
    private readonly SafeFileHandle? _lock;

    private SaveFolder(string path, SafeFileHandle? folderLock, FileSystemCalls calls)
    {
        Path = path;
        _lock = folderLock;
        _calls = calls;
    }

    /// <summary>Whether the folder itself could be locked; elsewhere files say who lives.</summary>
    public bool IsLocked => _lock is not null;

    /// <summary>Where it is until the save is complete.</summary>
    public string Path { get; }

    /// <summary>Makes the folder where it is missing, and locks it. The folder above is locked by the caller.</summary>
    /// <param name="target">The full path that it will have in the end.</param>
    /// <param name="id">What all members call the save.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <exception cref="IOException">The folder cannot be made, or somebody is removing it.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be written to.</exception>
    public static SaveFolder Open(string target, string id, FileSystemCalls calls)
    {
        var path = TemporaryName.OfSave(target, id);
        Directory.CreateDirectory(path);
        var handle = calls.TryOpenFolder(path);
        try
        {
            return handle is not null && calls.Lock(handle, exclusive: false) == LockOutcome.HeldByAnother
                ? throw new IOException($"{target}: somebody else is removing what was saved as {Quoted.Name(id)}; save it again.")
                : new SaveFolder(path, handle, calls);
        }
        catch
        {
            handle?.Dispose();
            throw;
        }
    }

    /// <summary>Removes the save folders of a target that nobody holds: what saves left that never came to their end.</summary>
    /// <param name="target">The target's full path.</param>
    /// <param name="calls">The calls of the system.</param>
    public static void RemoveAbandoned(string target, FileSystemCalls calls)
    {
        var name = System.IO.Path.GetFileName(target);
        var found = new FileSystemEnumerable<string>(System.IO.Path.GetDirectoryName(target)!, (ref entry) => entry.ToFullPath(), All)
        {
            ShouldIncludePredicate = (ref entry) => entry.IsDirectory && TemporaryName.IsSaveOf(entry.FileName, name),
        };
        foreach (var path in found.ToList())
        {
            using var handle = calls.TryOpenFolder(path);
            try
            {
                if (handle is null ? SaveLockFile.IsAnyHeld(path) : calls.Lock(handle, exclusive: true) != LockOutcome.Taken)
                {
                    continue;
                }

                calls.DeleteFolder(path);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Another user's, or removed at the same time: the save that is complete does not depend on it.
            }
        }
    }

    /// <summary>Removes a save folder with all that is in it. The folder above is locked by the caller.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <returns>False where a member holds it.</returns>
    public static bool Remove(string path, FileSystemCalls calls)
    {
        if (!Directory.Exists(path))
        {
            return true;
        }

        using var handle = calls.TryOpenFolder(path);
        if (handle is null ? SaveLockFile.IsAnyHeld(path) : calls.Lock(handle, exclusive: true) == LockOutcome.HeldByAnother)
        {
            return false;
        }

        calls.DeleteFolder(path);
        return true;
    }

    /// <summary>Removes the folder if nothing is in it and no other member holds it. The folder above is locked by the caller.</summary>
    public void RemoveIfEmpty()
    {
        if (_lock is not null && _calls.Lock(_lock, exclusive: true) == LockOutcome.HeldByAnother)
        {
            return;
        }

        try
        {
            Directory.Delete(Path);
        }
        catch (IOException)
        {
            // Others have their shares or their locks in it, or it is gone.
        }
    }

    /// <summary>Gives up the lock.</summary>
    public void Dispose() => _lock?.Dispose();
}
