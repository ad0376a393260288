using System.ComponentModel;
using System.Runtime.InteropServices;

namespace IlgpuLoader.TestKit;

/// <summary>Makes pipes that have a name in a folder, as <c>mkfifo</c> does.</summary>
public static partial class NamedPipe
{
    // Read and write for the owner.
    private const uint Mode = 0x180;

    /// <summary>Makes a pipe; nobody reads or writes it.</summary>
    public static void Create(string path)
    {
        if (MakePipe(path, Mode) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakePipe(string path, uint mode);
}
