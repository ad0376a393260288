using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// Asks Linux how much of a file is in the page cache. A few windows spread over the range stand for all of it: counting every page of a
/// large file takes as long as reading some of it.
/// </summary>
internal static unsafe partial class PageCache
{
    /// <summary>A window; files of models are read and pushed out in far longer stretches.</summary>
    internal const int WindowBytes = 1 << 20;

    // A share of 1/32 is as fine as the choice needs, and takes some tens of microseconds.
    private const int Windows = 32;

    // cachestat(2), Linux 6.5; system calls of this age have the same number on every processor.
    private const long CachestatCall = 451;
    private const int NoSuchCall = 38;
    private const int ProtectRead = 1;
    private const int MapShared = 1;
    private static readonly nint MapFailed = -1;

    // Once the kernel does not know the call, it never will; containers may also forbid calls that they do not know.
    private static volatile bool _cachestatMissing;

    /// <summary>The share of a range's bytes that is resident, from 0 to 1; null where the system does not say.</summary>
    /// <param name="file">The file.</param>
    /// <param name="offset">Where the range begins.</param>
    /// <param name="length">How long it is; it is within the file.</param>
    public static double? ResidentShare(SafeFileHandle file, long offset, long length)
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess || length <= 0)
        {
            return null;
        }

        var (windows, size) = length <= (long)Windows * WindowBytes ? (1, length) : (Windows, WindowBytes);
        long resident = 0;
        long asked = 0;
        for (var i = 0; i < windows; i++)
        {
            // The first at the range's beginning, the last at its end.
            var at = windows == 1 ? offset : offset + (long)((Int128)(length - size) * i / (windows - 1));
            if (ResidentPages(file, at, size) is not { } pages)
            {
                return null;
            }

            resident += pages.Resident;
            asked += pages.Asked;
        }

        return (double)resident / asked;
    }

    // Both calls count whole pages.
    private static (long Resident, long Asked)? ResidentPages(SafeFileHandle file, long offset, long length)
    {
        var page = (long)Environment.SystemPageSize;
        var first = offset / page * page;
        var pages = (offset + length - first + page - 1) / page;
        if (!_cachestatMissing)
        {
            var range = stackalloc ulong[] { (ulong)first, (ulong)(pages * page) };
            var counts = stackalloc ulong[5];
            if (Cachestat(CachestatCall, file, range, counts, 0) == 0)
            {
                return ((long)Math.Min(counts[0], (ulong)pages), pages);
            }

            if (Marshal.GetLastPInvokeError() != NoSuchCall)
            {
                // Files of others: who may not write them is not told since Linux 6.14, and mincore would say that all is there.
                return null;
            }

            _cachestatMissing = true;
        }

        return CountByMapping(file, first, pages) is { } resident ? (resident, pages) : null;
    }

    /// <summary>Counts the resident pages of a range by mapping it, which touches none of them: for kernels without a call for it.</summary>
    /// <returns>The count, or null where the file cannot be mapped.</returns>
    internal static long? CountByMapping(SafeFileHandle file, long first, long pages)
    {
        var bytes = (nuint)(pages * Environment.SystemPageSize);
        var address = Map(0, bytes, ProtectRead, MapShared, file, first);
        if (address == MapFailed)
        {
            return null;
        }

        try
        {
            var present = new byte[pages];
            fixed (byte* start = present)
            {
                return InCore(address, bytes, start) == 0 ? present.Count(flags => (flags & 1) != 0) : null;
            }
        }
        finally
        {
            _ = Unmap(address, bytes);
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long Cachestat(long call, SafeFileHandle file, ulong* range, ulong* counts, uint flags);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "mincore", SetLastError = true)]
    private static partial int InCore(nint address, nuint length, byte* present);
}
