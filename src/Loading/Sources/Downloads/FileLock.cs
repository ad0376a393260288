using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A lock file that one of several processes holds at a time: the lock of Python's filelock, which is flock(2) on Unix, so that both keep each other out. Disposing gives it back; so does the end of the process, however
/// it ends. The file stays.
/// </summary>
/// <remarks>A file system without locks lets everyone in, as huggingface_hub's weak lock does: no content depends on it, only that nothing is fetched twice.</remarks>
internal sealed class FileLock : IDisposable
{
    /// <summary>Who may lock beside this user: huggingface_hub's locks have the mode 0664.</summary>
    public const UnixFileMode OfGroup = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead;

    /// <summary>Who may lock beside this user: vLLM's locks have the mode 0666.</summary>
    public const UnixFileMode OfAll = OfGroup | UnixFileMode.OtherWrite;

    // A system does not tell when a lock that was asked for in this way becomes free; half that on average is what a waiting process loses. filelock's own interval.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly FileStream _file;

    private FileLock(FileStream file) => _file = file;

    /// <summary>Waits for the lock.</summary>
    /// <param name="path">The lock file; its folder is made where it is missing.</param>
    /// <param name="mode">The mode of a new file, whatever the umask.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="IOException">The file cannot be made or opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be made or opened.</exception>
    public static async Task<FileLock> TakeAsync(string path, UnixFileMode mode, TimeProvider time, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (TryTake(path, mode) is { } taken)
            {
                return taken;
            }

            await Task.Delay(Interval, time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Takes the lock unless somebody holds it: then null.</summary>
    /// <param name="path">The lock file, in a folder that is there.</param>
    /// <param name="mode">The mode of a new file, whatever the umask.</param>
    /// <inheritdoc cref="TakeAsync" path="/exception"/>
    public static FileLock? TryTake(string path, UnixFileMode mode)
    {
        try
        {
            var file = Open(path, mode);
            if (IsRemoved(file))
            {
                // Some versions of filelock remove the file when they give the lock back: others would lock a new one.
                file.Dispose();
                return null;
            }

            return new FileLock(file);
        }
        catch (IOException exception) when (IsHeld(exception))
        {
            return null;
        }
    }

    private static FileStream Open(string path, UnixFileMode mode)
    {
        // .NET's FileShare.None is flock(LOCK_EX | LOCK_NB).
        if (OperatingSystem.IsWindows())
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
        }

        try
        {
            var isNew = !File.Exists(path);
            var file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                BufferSize = 1,
                UnixCreateMode = mode,
            });
            if (isNew)
            {
                Widen(file, mode);
            }

            return file;
        }
        catch (UnauthorizedAccessException) when (File.Exists(path))
        {
            // Another user's: what may be read can be locked.
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.None, 1);
        }
    }

    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    private static void Widen(FileStream file, UnixFileMode mode)
    {
        try
        {
            File.SetUnixFileMode(file.SafeFileHandle, mode);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Made by another user since it was looked for, or a file system without modes: the lock holds as it is.
        }
    }

    private static bool IsRemoved(FileStream file) =>
        OperatingSystem.IsLinux()
        && File.ResolveLinkTarget($"/proc/self/fd/{file.SafeFileHandle.DangerousGetHandle()}", returnFinalTarget: false) is { } target
        && target.FullName.EndsWith(" (deleted)", StringComparison.Ordinal);

    private static bool IsHeld(IOException exception)
    {
        // ERROR_SHARING_VIOLATION as an HResult.
        const int sharingViolation = unchecked((int)0x80070020);
        return OperatingSystem.IsWindows() ? exception.HResult == sharingViolation : FileSystemCalls.IsHeldByAnother(exception.HResult);
    }
}
