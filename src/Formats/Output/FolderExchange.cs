namespace IlgpuLoader.Formats;

/// <summary>Puts a folder that is finished in the place of its target, whose old content is never lost by it.</summary>
internal static class FolderExchange
{
    /// <summary>Gives a finished folder its name.</summary>
    /// <param name="finished">The folder, under a name of <see cref="TemporaryName.Beside"/>.</param>
    /// <param name="target">The full path that it gets.</param>
    /// <param name="overwrite">Whether a folder that is there and not empty is replaced.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <returns>
    /// Where the replaced folder is now: a leftover that anybody may remove, as soon as the folder above is on disk. Null where
    /// nothing was replaced.
    /// </returns>
    /// <exception cref="IOException">The name cannot be given; what was there is there.</exception>
    public static string? Replace(string finished, string target, bool overwrite, FileSystemCalls calls)
    {
        if (!Directory.Exists(target))
        {
            calls.MoveFolder(finished, target);
            return null;
        }

        if (!overwrite)
        {
            DeleteEmpty(target);
            calls.MoveFolder(finished, target);
            return null;
        }

        return calls.TryExchange(finished, target) ? finished : SetAsideAndMove(finished, target, calls);
    }

    /// <summary>Removes what was replaced.</summary>
    public static void DeleteReplaced(string path, FileSystemCalls calls)
    {
        try
        {
            calls.DeleteFolder(path);
        }
        catch (DirectoryNotFoundException)
        {
            // Another writer of this target has removed it as a leftover, which it is.
        }
    }

    private static string SetAsideAndMove(string finished, string target, FileSystemCalls calls)
    {
        var aside = TemporaryName.Aside(target);
        // Locked, so that no other writer takes it for a leftover while it may have to come back.
        using var old = calls.TryOpenFolder(target);
        _ = old is null ? LockOutcome.Unavailable : calls.Lock(old, exclusive: false);
        calls.MoveFolder(target, aside);
        try
        {
            calls.MoveFolder(finished, target);
        }
        catch
        {
            calls.MoveFolder(aside, target);
            throw;
        }

        return aside;
    }

    // Only an empty folder was accepted; if something has come into it since, nothing of that is lost.
    private static void DeleteEmpty(string target)
    {
        try
        {
            Directory.Delete(target);
        }
        catch (IOException exception) when (Directory.Exists(target))
        {
            throw new IOException(
                $"{target}: something else has written here meanwhile, and it was not replaced; choose another name.", exception);
        }
    }
}
