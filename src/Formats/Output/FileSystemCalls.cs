using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// The calls that make an output appear, in one place: most of them .NET does not have, and tests record their order and
/// refuse single ones. Safe for any thread.
/// </summary>
internal partial class FileSystemCalls
{
    // open(2) on Linux. O_RDWR and O_CLOEXEC are the same on x64 and Arm64; the bit of O_TMPFILE comes with O_DIRECTORY,
    // which is not.
    private const int ReadWrite = 2;
    private const int CloseOnExec = 0x80000;
    private const int UnnamedBit = 0x400000;
    private const int DirectoryOnX64 = 0x10000;
    private const int DirectoryOnArm64 = 0x4000;

    // 0666: what the umask leaves of it is the mode of any new file.
    private const uint Mode = 0b110_110_110;

    // linkat(2), renameat2(2), fallocate(2), flock(2); flock's are the same on every Unix.
    private const int CurrentFolder = -100;
    private const int FollowLink = 0x400;
    private const uint DoNotReplace = 1;
    private const uint ExchangeNames = 2;
    private const int KeepSize = 1;
    private const int Shared = 1;
    private const int Exclusive = 2;
    private const int DoNotWait = 4;

    // sync_file_range(2): SYNC_FILE_RANGE_WRITE.
    private const uint BeginWrite = 2;

    // statx(2): the blocks of a file, which are of 512 bytes whatever the file system's are, and where they are in struct statx; both in units of 8 bytes.
    private const uint AskBlocks = 0x400;
    private const int StatxWords = 32;
    private const int BlocksAt = 6;
    private const long BlockBytes = 512;

    private static readonly int DirectoryOnly = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => DirectoryOnX64,
        Architecture.Arm64 => DirectoryOnArm64,
        _ => 0,
    };

    /// <summary>The calls of this machine.</summary>
    public static FileSystemCalls Native { get; } = new();

    /// <summary>Waits before it is looked again whether another process is done.</summary>
    /// <param name="time">How long.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    public virtual Task WaitAsync(TimeSpan time, CancellationToken cancellationToken) => Task.Delay(time, cancellationToken);

    /// <summary>
    /// Opens a new file that has no name and is gone when its last descriptor is closed, also by a kill. Null where the
    /// system or the file system has no such files, and where the folder cannot be written to: opening under a name
    /// then says why.
    /// </summary>
    /// <param name="folder">A folder of the file system that the file is to be on.</param>
    public virtual SafeFileHandle? TryOpenUnnamed(string folder)
    {
        if (!OperatingSystem.IsLinux() || DirectoryOnly == 0)
        {
            return null;
        }

        var descriptor = Open(folder, ReadWrite | CloseOnExec | UnnamedBit | DirectoryOnly, Mode);
        if (descriptor < 0)
        {
            return null;
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        // The name is given through /proc; a container without it writes under names.
        if (!File.Exists(LinkSource(handle)))
        {
            handle.Dispose();
            return null;
        }

        return handle;
    }

    /// <summary>
    /// Has the disk begin with what was written so far, without waiting for it. A hint: whether it was taken, and what the disk
    /// says of the bytes, forcing the file to disk tells.
    /// </summary>
    public virtual void BeginWriteback(SafeFileHandle file)
    {
        if (OperatingSystem.IsLinux())
        {
            // From the start to the end, whatever that is by then.
            _ = SynchroniseRange(file, 0, 0, BeginWrite);
        }
    }

    /// <summary>How many bytes are free where a folder is; null where that is not known.</summary>
    public virtual long? CountFreeBytes(string folder) => FreeSpace.Of(folder);

    /// <summary>How many bytes of the disk a file has, those among them that were reserved and are not written; 0 where there is no such file, null where that is not known.</summary>
    public virtual long? CountAllocatedBytes(string path)
    {
        if (!File.Exists(path))
        {
            return 0;
        }

        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        Span<ulong> answer = stackalloc ulong[StatxWords];
        try
        {
            return Stat(CurrentFolder, path, 0, AskBlocks, ref MemoryMarshal.GetReference(answer)) == 0 ? checked((long)answer[BlocksAt] * BlockBytes) : null;
        }
        catch (EntryPointNotFoundException)
        {
            // A C library from before 2018.
            return null;
        }
    }

    /// <summary>How many files may be held open until the end.</summary>
    public virtual int CountSpareDescriptors() => DescriptorLimit.CountSpare();

    /// <summary>
    /// Refuses what cannot fit before space is taken: file systems take all there is until they find that out, and whoever
    /// else writes at that moment fails.
    /// </summary>
    /// <param name="path">Where the file will appear, for messages.</param>
    /// <param name="folder">A folder of the same file system.</param>
    /// <param name="length">Its size in bytes.</param>
    /// <exception cref="IOException">There is less room than that.</exception>
    public void CheckRoom(string path, string folder, long length)
    {
        if (length > 0 && CountFreeBytes(folder) is { } free && length > free)
        {
            throw new IOException(OutputFailure.DescribeNoRoom(path, length, free));
        }
    }

    /// <summary>Takes space for a file without changing its length.</summary>
    /// <param name="file">An open file.</param>
    /// <param name="path">Where it will appear, for messages.</param>
    /// <param name="length">The size in bytes.</param>
    /// <exception cref="IOException">The disk has no room for it.</exception>
    public virtual void Reserve(SafeFileHandle file, string path, long length)
    {
        while (length > 0 && Allocate(file, KeepSize, 0, length) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error is SystemError.NoSpace or SystemError.FileTooLarge || error == SystemError.QuotaExceeded)
            {
                throw OutputFailure.Of(path, SystemError.ToException(error), length);
            }

            if (error != SystemError.Interrupted)
            {
                // A file system that cannot reserve tells of a full disk when it is full, as .NET's preallocation has it.
                return;
            }
        }
    }

    /// <summary>Gives an unnamed file a name; never replaces anything.</summary>
    /// <exception cref="IOException">The name cannot be given, and could not in any other way.</exception>
    public virtual LinkOutcome Link(SafeFileHandle file, string path)
    {
        // Held, so that the number in the path cannot become another file's.
        var held = false;
        file.DangerousAddRef(ref held);
        try
        {
            return LinkAt(CurrentFolder, LinkSource(file), CurrentFolder, path, FollowLink) == 0
                ? LinkOutcome.Linked
                : Outcome(Marshal.GetLastPInvokeError());
        }
        finally
        {
            file.DangerousRelease();
        }
    }

    /// <summary>Makes a symbolic link, where nothing is yet.</summary>
    /// <exception cref="IOException">It cannot be made: some file systems have none.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be made: Windows asks for a right of its own.</exception>
    public virtual void MakeLink(string path, string target) => File.CreateSymbolicLink(path, target);

    /// <summary>Gives a file another name in the same folder; replaces the file that has it.</summary>
    public virtual void MoveFile(string from, string to) => File.Move(from, to, overwrite: true);

    /// <summary>Gives a file another name in the same folder; never replaces anything.</summary>
    /// <exception cref="IOException">The name cannot be given, and could not in any other way.</exception>
    public virtual LinkOutcome MoveNewFile(string from, string to)
    {
        if (!OperatingSystem.IsLinux())
        {
            return LinkOutcome.Refused;
        }

        try
        {
            return RenameAt(CurrentFolder, from, CurrentFolder, to, DoNotReplace) == 0
                ? LinkOutcome.Linked
                : Outcome(Marshal.GetLastPInvokeError());
        }
        catch (EntryPointNotFoundException)
        {
            // Older musl has no wrapper for this system call.
            return LinkOutcome.Refused;
        }
    }

    /// <summary>Gives a folder another name beside it that nothing has yet.</summary>
    public virtual void MoveFolder(string from, string to) => Directory.Move(from, to);

    /// <summary>Removes a folder with all that is in it.</summary>
    public virtual void DeleteFolder(string path) => Directory.Delete(path, recursive: true);

    /// <summary>Removes a file, where it is there.</summary>
    public virtual void DeleteFile(string path) => File.Delete(path);

    /// <summary>Lets two names change their places in one step; false where the file system cannot.</summary>
    public virtual bool TryExchange(string one, string other)
    {
        try
        {
            return OperatingSystem.IsLinux() && RenameAt(CurrentFolder, one, CurrentFolder, other, ExchangeNames) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            // Older musl has no wrapper for this system call.
            return false;
        }
    }

    /// <summary>Forces a file's bytes to disk.</summary>
    public virtual void FlushFile(SafeFileHandle file) => RandomAccess.FlushToDisk(file);

    /// <summary>Forces a folder's entries to disk.</summary>
    public virtual void FlushFolder(string path) => FolderSync.Flush(path);

    /// <summary>Opens a folder to lock it; null where that cannot be done.</summary>
    public virtual SafeFileHandle? TryOpenFolder(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        var descriptor = Open(path, CloseOnExec | DirectoryOnly, 0);
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Locks a file or folder without waiting. On Windows the way a file was opened is its lock.</summary>
    /// <param name="handle">The open file or folder.</param>
    /// <param name="exclusive">Whether nobody else may hold it; else others may hold it, but not exclusively.</param>
    public virtual LockOutcome Lock(SafeFileHandle handle, bool exclusive)
    {
        if (OperatingSystem.IsWindows() || LockFile(handle, (exclusive ? Exclusive : Shared) | DoNotWait) == 0)
        {
            return LockOutcome.Taken;
        }

        return IsHeldByAnother(Marshal.GetLastPInvokeError()) ? LockOutcome.HeldByAnother : LockOutcome.Unavailable;
    }

    /// <summary>Whether an error of the system says that somebody else holds a lock.</summary>
    public static bool IsHeldByAnother(int error)
    {
        // EWOULDBLOCK, also as the HResult that .NET makes of it when it locks what it opens.
        const int onLinux = 11;
        const int onMacOS = 35;
        return error == (OperatingSystem.IsMacOS() ? onMacOS : onLinux);
    }

    private static LinkOutcome Outcome(int error) =>
        error == SystemError.AlreadyExists ? LinkOutcome.NameTaken
        : SystemError.MeansUnsupported(error) ? LinkOutcome.Refused
        : throw SystemError.ToException(error);

    private static string LinkSource(SafeFileHandle file) => $"/proc/self/fd/{file.DangerousGetHandle()}";

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(int folder, string path, int flags, uint mask, ref ulong answer);

    [LibraryImport("libc", EntryPoint = "sync_file_range", SetLastError = true)]
    private static partial int SynchroniseRange(SafeFileHandle file, long offset, long length, uint flags);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LinkAt(int fromFolder, string from, int toFolder, string to, int flags);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt(int fromFolder, string from, int toFolder, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int LockFile(SafeFileHandle handle, int operation);
}
