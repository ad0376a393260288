using System.ComponentModel;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Gets memory from the operating system. On Linux large blocks are anonymous mappings on 2 MiB boundaries, advised to
/// be huge pages; elsewhere, and for small blocks, the C library's aligned allocation serves.
/// </summary>
internal static unsafe partial class NativePages
{
    /// <summary>A cache line, and the widest vector store.</summary>
    public const int Alignment = 64;

    /// <summary>The size of a huge page on x86-64 and on Arm64 with 4 KiB pages.</summary>
    public const long HugePage = 2L << 20;

    // Below this a mapping costs more than it saves: a system call and at least one page of its own.
    private const long SmallestMapping = 1L << 20;

    // A call of about a millisecond where the pages are small ones.
    private const long FreedAtATime = 16L << 20;

    // mmap(2) and madvise(2), the same on every Linux processor that .NET runs on.
    private const int ProtectReadWrite = 0x1 | 0x2;
    private const int MapPrivateAnonymous = 0x02 | 0x20;
    private const int AdviseDontNeed = 4;
    private const int AdviseHugePage = 14;
    private const int AdvisePopulateWrite = 23;
    private const int InvalidArgument = 22;
    private static readonly nint MapFailed = -1;

    // MADV_POPULATE_WRITE came with Linux 5.14; older kernels answer "invalid argument", once and for all.
    private static volatile bool _populateRefused;

    /// <summary>Memory and how to give it back.</summary>
    /// <param name="Address">The first byte.</param>
    /// <param name="Bytes">The size of the mapping, or 0 for the C library's.</param>
    /// <param name="Presence">Which of a mapping's pages are present; null for the C library's memory.</param>
    internal readonly record struct Region(nint Address, long Bytes, PagePresence? Presence)
    {
        /// <summary>Whether this is a mapping of its own, whose pages come into being when they are first written.</summary>
        public bool IsMapped => Bytes > 0;
    }

    /// <summary>Whether <see cref="Allocate"/> makes a mapping of so many bytes.</summary>
    public static bool IsMapped(long bytes) => OperatingSystem.IsLinux() && bytes >= SmallestMapping;

    /// <summary>Allocates memory.</summary>
    /// <exception cref="OutOfMemoryException">The C library has none.</exception>
    /// <exception cref="Win32Exception">The operating system refused a mapping.</exception>
    public static Region Allocate(long bytes)
    {
        if (IsMapped(bytes))
        {
            return Map(bytes);
        }

        // At least one byte, so that every block has an address.
        return new Region((nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), Alignment), 0, null);
    }

    /// <summary>Allocates whole pages, which nothing else lies in: a driver locks pages, and none of them twice.</summary>
    /// <inheritdoc cref="Allocate"/>
    public static Region AllocatePages(long bytes)
    {
        var whole = WholePages(bytes);
        return OperatingSystem.IsLinux()
            ? Map(whole)
            : new Region((nint)NativeMemory.AlignedAlloc((nuint)whole, (nuint)Environment.SystemPageSize), 0, null);
    }

    /// <summary>The size of the pages that so many bytes take, at least one.</summary>
    public static long WholePages(long bytes) => RoundUp(Math.Max(bytes, 1), Environment.SystemPageSize);

    /// <summary>Gives memory back.</summary>
    public static void Free(Region block)
    {
        if (!block.IsMapped)
        {
            NativeMemory.AlignedFree((void*)block.Address);
        }
        else
        {
            // In parts first, for the same reason as in TryPopulate. A refusal leaves them to the unmapping.
            for (var done = 0L; done + FreedAtATime < block.Bytes; done += FreedAtATime)
            {
                _ = Advise((nint)(block.Address + done), (nuint)FreedAtATime, AdviseDontNeed);
            }

            if (Unmap(block.Address, (nuint)block.Bytes) != 0)
            {
                throw new Win32Exception(Marshal.GetLastPInvokeError());
            }
        }
    }

    /// <summary>Whether the kernel is known to have no call that makes pages present; tests play one.</summary>
    internal static bool RefusesPopulating
    {
        get => _populateRefused;
        set => _populateRefused = value;
    }

    /// <summary>Makes the pages of a range of a mapped block present, whatever others write to them meanwhile.</summary>
    /// <returns>False where the kernel has no call for it, or refused: then they come when they are first written.</returns>
    public static bool TryPopulate(byte* start, long length)
    {
        var pageMask = (long)Environment.SystemPageSize - 1;
        var first = (nint)start & ~(nint)pageMask;
        var end = ((nint)start + (nint)length + (nint)pageMask) & ~(nint)pageMask;
        for (var next = first; next < end && !_populateRefused;)
        {
            // While a call runs nobody maps or protects memory in this process, which the JIT, the collector and new threads do: calls for whole tensors kept requests waiting for hundreds of
            // milliseconds while a model was loaded. So it is a huge page a call, and its first byte is written before, with what it holds, whoever else writes to it: the kernel clears a huge page for
            // that under the lock of this mapping alone (since Linux 6.4), and the call finds it present, or makes the small pages behind it where there was no huge one.
            var behind = Math.Min(end, (nint)RoundUp((long)next + 1, HugePage));
            _ = Interlocked.Or(ref *(int*)next, 0);
            if (Advise(next, (nuint)(behind - next), AdvisePopulateWrite) != 0)
            {
                // Any other error, such as a cgroup at its limit, concerns this range only.
                _populateRefused = Marshal.GetLastPInvokeError() == InvalidArgument;
                return false;
            }

            next = behind;
        }

        return !_populateRefused;
    }

    /// <summary>
    /// Writes one byte a page, for kernels without a call for it. Only bytes of the range are written, and with what they
    /// hold: they must be the caller's alone, while others may fill the rest of the first and the last page meanwhile.
    /// </summary>
    internal static void Touch(byte* start, long length)
    {
        var pageMask = (long)Environment.SystemPageSize - 1;
        for (var page = start; page < start + length; page = (byte*)(((nint)page | (nint)pageMask) + 1))
        {
            Volatile.Write(ref *page, Volatile.Read(ref *page));
        }
    }

    private static Region Map(long bytes)
    {
        var rounded = RoundUp(bytes, Environment.SystemPageSize);
        var slack = bytes >= HugePage ? HugePage : 0;
        var start = MapPages(0, (nuint)(rounded + slack), ProtectReadWrite, MapPrivateAnonymous, -1, 0);
        if (start == MapFailed)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        if (slack == 0)
        {
            return new Region(start, rounded, new PagePresence(rounded));
        }

        // Cut the mapping down to the part that begins on a huge page.
        var aligned = (nint)RoundUp(start, HugePage);
        var before = aligned - start;
        var after = slack - before;
        if (before > 0)
        {
            _ = Unmap(start, (nuint)before);
        }

        if (after > 0)
        {
            _ = Unmap(aligned + (nint)rounded, (nuint)after);
        }

        // The whole mapping, also the part behind its last huge page: the kernel makes a huge page only where all of it
        // lies in the mapping, and advising a part would split the mapping in two (a process may have 65,530 of them). A
        // refusal (a kernel without huge pages) leaves ordinary ones, which is slower and right.
        _ = Advise(aligned, (nuint)rounded, AdviseHugePage);
        return new Region(aligned, rounded, new PagePresence(rounded));
    }

    private static long RoundUp(long value, long multiple) => checked((value + multiple - 1) / multiple * multiple);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MapPages(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Advise(nint address, nuint length, int advice);
}
