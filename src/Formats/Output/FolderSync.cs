using System.ComponentModel;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Formats;

/// <summary>Forces a folder's entries to disk, which .NET has no call for: a rename is durable only after this.</summary>
internal static partial class FolderSync
{
    // open(2): O_RDONLY is 0 on every Unix; O_DIRECTORY is left out because its value differs by processor.
    private const int ReadOnly = 0;

    // fsync(2) on a folder: some network file systems answer "invalid argument" and keep entries durable by themselves.
    private const int InvalidArgument = 22;

    /// <summary>Forces the folder's entries to disk; does nothing on Windows, whose file systems journal renames.</summary>
    public static void Flush(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var descriptor = Open(path, ReadOnly);
        if (descriptor < 0)
        {
            throw Failure(path);
        }

        try
        {
            if (Synchronise(descriptor) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
            {
                throw Failure(path);
            }
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    private static IOException Failure(string path)
    {
        var error = new Win32Exception(Marshal.GetLastPInvokeError());
        return new IOException($"The folder {path} could not be forced to disk: {error.Message}.", error);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Synchronise(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
