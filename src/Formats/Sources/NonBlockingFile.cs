using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>Opens a file without waiting for anybody, which .NET has no call for: to look at what kind of file it is.</summary>
internal static partial class NonBlockingFile
{
    // open(2) on Linux: O_RDONLY is 0; these two have the same values on every processor that .NET runs on.
    private const int NonBlocking = 0x800;
    private const int CloseOnExec = 0x80000;

    /// <summary>The opened file; null where it cannot be opened this way, and on systems other than Linux.</summary>
    public static SafeFileHandle? TryOpen(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        var descriptor = Open(path, NonBlocking | CloseOnExec);
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
