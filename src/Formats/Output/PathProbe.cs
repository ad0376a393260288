using System.Runtime.InteropServices;

namespace IlgpuLoader.Formats;

/// <summary>What a path leads to, which .NET tells only of files and folders. Nothing is opened: opening a device may act on it.</summary>
internal static partial class PathProbe
{
    // statx(2), whose structure is the same on every processor, unlike stat's: 256 bytes with the mode at 28.
    private const int CurrentFolder = -100;
    private const uint WantType = 1;
    private const int StatusBytes = 256;
    private const int ModeOffset = 28;

    // S_IFMT and its values, inode(7).
    private const int TypeBits = 0xF000;
    private const int Pipe = 0x1000;
    private const int CharacterDevice = 0x2000;
    private const int Folder = 0x4000;
    private const int BlockDevice = 0x6000;
    private const int Socket = 0xC000;

    // access(2): W_OK and X_OK.
    private const int WriteAndSearch = 3;

    // PATH_MAX of Linux, and more than that of macOS: realpath(3) writes no more.
    private const int LongestPath = 4096;

    /// <summary>What a path leads to, links followed.</summary>
    /// <param name="path">A full path.</param>
    /// <param name="error">
    /// Why nothing can have this path, such as <see cref="SystemError.NameTooLong"/>, in the words of its own file system; else 0.
    /// </param>
    public static EntryKind KindOf(string path, out int error)
    {
        error = 0;
        Span<byte> status = stackalloc byte[StatusBytes];
        var outcome = GetStatus(path, status);
        if (outcome == 0)
        {
            return (MemoryMarshal.Read<ushort>(status[ModeOffset..]) & TypeBits) switch
            {
                Pipe => EntryKind.Pipe,
                CharacterDevice => EntryKind.CharacterDevice,
                Folder => EntryKind.Folder,
                BlockDevice => EntryKind.BlockDevice,
                Socket => EntryKind.Socket,
                _ => EntryKind.File,
            };
        }

        if (outcome == SystemError.NameTooLong || outcome == SystemError.LinksInACircle)
        {
            error = outcome;
            return EntryKind.Missing;
        }

        if (outcome != SystemError.NotImplemented && outcome != SystemError.NotPermitted)
        {
            return EntryKind.Missing;
        }

        // Where there is no such call, or a container filters it, a special file passes for a regular one, as .NET has it.
        return Directory.Exists(path) ? EntryKind.Folder : File.Exists(path) ? EntryKind.File : EntryKind.Missing;
    }

    /// <summary>The path of a folder without any links in it; null where it is missing, or the system has no such call.</summary>
    public static unsafe string? FindRealPath(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        Span<byte> real = stackalloc byte[LongestPath];
        fixed (byte* start = real)
        {
            return RealPath(folder, start) == 0 ? null : Marshal.PtrToStringUTF8((nint)start);
        }
    }

    /// <summary>Why nothing can be made in a folder that is there; 0 where something can, or where that is not known.</summary>
    public static int FindWriteError(string folder) =>
        OperatingSystem.IsWindows() || Access(folder, WriteAndSearch) == 0 ? 0 : Marshal.GetLastPInvokeError();

    private static unsafe int GetStatus(string path, Span<byte> status)
    {
        if (!OperatingSystem.IsLinux())
        {
            return SystemError.NotImplemented;
        }

        try
        {
            fixed (byte* start = status)
            {
                return Status(CurrentFolder, path, 0, WantType, start) == 0 ? 0 : Marshal.GetLastPInvokeError();
            }
        }
        catch (EntryPointNotFoundException)
        {
            // Older musl has no wrapper for this system call.
            return SystemError.NotImplemented;
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Status(int folder, string path, int flags, uint mask, byte* status);

    [LibraryImport("libc", EntryPoint = "realpath", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial nint RealPath(string path, byte* real);

    [LibraryImport("libc", EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);
}
