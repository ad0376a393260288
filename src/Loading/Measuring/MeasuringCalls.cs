using System.ComponentModel;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Loading;

/// <summary>
/// What yardsticks ask of Linux by themselves: the loader's own calls are what is measured against them.
/// </summary>
internal static unsafe partial class MeasuringCalls
{
    // The same on every Linux processor that .NET runs on, unlike O_DIRECT.
    private const int ReadOnlyCloseOnExec = 0x80000;
    private const int ProtectRead = 0x1;
    private const int ProtectReadWrite = 0x3;
    private const int MapShared = 0x01;
    private const int MapPrivateAnonymous = 0x22;
    private const int AdviseDontNeed = 4;
    private const int AdviseHugePage = 14;
    private const int AdvisePopulateWrite = 23;
    private static readonly nint MapFailed = -1;

    /// <summary>Opens a file past the page cache.</summary>
    /// <returns>The file, or null where the system or the file system has no such reads; some refuse only when the file is read.</returns>
    public static SafeFileHandle? OpenDirect(string path)
    {
        if (!OperatingSystem.IsLinux() || DirectCalls.DirectFlag is not { } direct)
        {
            return null;
        }

        var descriptor = Open(path, ReadOnlyCloseOnExec | direct);
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Asks the kernel to drop a file's clean pages from its cache.</summary>
    /// <returns>Whether it took the advice; what is left is another question.</returns>
    public static bool DropCached(SafeFileHandle file)
    {
        var added = false;
        try
        {
            file.DangerousAddRef(ref added);
            return OperatingSystem.IsLinux() && Advise((int)file.DangerousGetHandle(), 0, 0, AdviseDontNeed) == 0;
        }
        finally
        {
            if (added)
            {
                file.DangerousRelease();
            }
        }
    }

    /// <summary>Counts the pages of a part of a file that are in the page cache.</summary>
    /// <param name="file">The file.</param>
    /// <param name="offset">On a page boundary.</param>
    /// <param name="length">At least one byte.</param>
    /// <param name="pages">Room for one byte a page.</param>
    /// <exception cref="Win32Exception">The kernel refused.</exception>
    public static int CountCached(SafeFileHandle file, long offset, long length, Span<byte> pages)
    {
        var added = false;
        try
        {
            file.DangerousAddRef(ref added);
            var address = Map(0, (nuint)length, ProtectRead, MapShared, (int)file.DangerousGetHandle(), (nint)offset);
            if (address == MapFailed)
            {
                throw new Win32Exception(Marshal.GetLastPInvokeError());
            }

            try
            {
                fixed (byte* vector = pages)
                {
                    if (InCore(address, (nuint)length, vector) != 0)
                    {
                        throw new Win32Exception(Marshal.GetLastPInvokeError());
                    }
                }
            }
            finally
            {
                _ = Unmap(address, (nuint)length);
            }
        }
        finally
        {
            if (added)
            {
                file.DangerousRelease();
            }
        }

        var count = 0;
        foreach (var page in pages)
        {
            count += page & 1;
        }

        return count;
    }

    /// <summary>Maps fresh pages, asking for huge ones.</summary>
    /// <exception cref="DeviceMemoryException">There are none.</exception>
    public static nint MapFresh(long bytes)
    {
        var address = Map(0, (nuint)bytes, ProtectReadWrite, MapPrivateAnonymous, -1, 0);
        if (address == MapFailed)
        {
            throw new DeviceMemoryException(HostDevice.Shared.Id, bytes, HostDevice.Shared.FreeMemory, "They were for plain reads, which loads are held against.");
        }

        _ = AdviseMemory(address, (nuint)bytes, AdviseHugePage);
        return address;
    }

    /// <summary>Gives mapped pages back.</summary>
    public static void UnmapFresh(nint address, long bytes) => _ = Unmap(address, (nuint)bytes);

    /// <summary>Makes whole pages present with one call.</summary>
    /// <returns>Whether the kernel has such a call.</returns>
    public static bool TryPopulate(nint address, long bytes) => AdviseMemory(address, (nuint)bytes, AdvisePopulateWrite) == 0;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(int descriptor, long offset, long length, int advice);

    [LibraryImport("libc", EntryPoint = "mincore", SetLastError = true)]
    private static partial int InCore(nint address, nuint length, byte* pages);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int AdviseMemory(nint address, nuint length, int advice);
}
