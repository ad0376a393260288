using System.ComponentModel;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// All bytes of a local file as memory that can only be read. Reference-counted: it is made with one reference, and is unmapped when the
/// last is released. It needs neither the source nor an open file, and outlives both. Safe for any thread.
/// </summary>
/// <remarks>
/// <para>
/// Pages come from the file when they are first touched, and are those of the page cache. The file must stay as it is: who writes into it
/// changes the bytes here, and a page behind the end of a file that was made shorter cannot be touched: the system ends the process
/// (SIGBUS). A file that another one was renamed over stays what it was.
/// </para>
/// <para>
/// There is no finalizer: spans and addresses would be left without their memory. Who forgets to release a reference keeps the mapping.
/// </para>
/// </remarks>
public sealed unsafe partial class FileMapping : IDisposable
{
    // mmap(2), where Linux and macOS have the same numbers, and madvise(2) of Linux; the last came with Linux 5.14.
    private const int ProtectRead = 0x1;
    private const int MapPrivate = 0x02;
    private const int AdviseDontNeed = 4;
    private const int AdvisePopulateRead = 22;
    private const int BadAddress = 14;
    private const int InvalidArgument = 22;
    private static readonly nint MapFailed = -1;

    // Older kernels answer "invalid argument", once and for all.
    private static volatile bool _populateRefused;

    private readonly LocalFileSource _source;
    private readonly byte* _pointer;
    private readonly MemoryMappedViewAccessor? _view;
    private int _references = 1;

    private FileMapping(LocalFileSource source, byte* pointer, MemoryMappedViewAccessor? view)
    {
        _source = source;
        _pointer = pointer;
        _view = view;
        source.CountMapping(1);
    }

    /// <summary>The file's path.</summary>
    public string Name => _source.Name;

    /// <summary>The size in bytes.</summary>
    public long Length => _source.Length;

    /// <summary>Whether the last reference was released.</summary>
    public bool IsUnmapped => Volatile.Read(ref _references) == 0;

    /// <summary>Adds a reference; give it back with <see cref="Dispose"/>.</summary>
    /// <exception cref="ObjectDisposedException">The file is unmapped already.</exception>
    public void AddReference()
    {
        // Not a plain increment: one that came after the last release would bring back what is unmapped.
        var current = Volatile.Read(ref _references);
        while (true)
        {
            ObjectDisposedException.ThrowIf(current == 0, this);
            var seen = Interlocked.CompareExchange(ref _references, current + 1, current);
            if (seen == current)
            {
                return;
            }

            current = seen;
        }
    }

    /// <summary>Gives a reference back; the last one unmaps the file. Call it once for each.</summary>
    /// <exception cref="ObjectDisposedException">More references are released than were added.</exception>
    public void Dispose()
    {
        var current = Volatile.Read(ref _references);
        while (true)
        {
            ObjectDisposedException.ThrowIf(current == 0, this);
            var seen = Interlocked.CompareExchange(ref _references, current - 1, current);
            if (seen == current)
            {
                break;
            }

            current = seen;
        }

        if (current == 1)
        {
            Unmap();
        }
    }

    /// <summary>Bytes of the file, valid until it is unmapped.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">The number of bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the file as it was opened.</exception>
    /// <exception cref="ObjectDisposedException">The file is unmapped.</exception>
    public ReadOnlySpan<byte> AsSpan(long offset, int length) => new((byte*)AddressOf(offset, length), length);

    /// <summary>The address of the first byte of a range, valid until the file is unmapped. Nothing may be written there.</summary>
    /// <inheritdoc cref="AsSpan"/>
    public nint AddressOf(long offset, long length)
    {
        CheckRange(offset, length);
        return (nint)(_pointer + offset);
    }

    /// <summary>
    /// Brings the pages of a range into memory, with one call instead of one fault for a few pages, where the system has a call for it; else
    /// they come as they are touched. What cannot be read, as a page behind the end of a file that is shorter now, is an error here, where
    /// touching it would end the process. Not for use after the source was disposed.
    /// </summary>
    /// <inheritdoc cref="AsSpan"/>
    /// <exception cref="InvalidCheckpointException">The file was changed or replaced.</exception>
    /// <exception cref="IOException">A page cannot be read.</exception>
    public void Populate(long offset, long length)
    {
        CheckRange(offset, length);
        if (_populateRefused || length == 0 || !OperatingSystem.IsLinux())
        {
            return;
        }

        var pageMask = (nint)Environment.SystemPageSize - 1;
        var first = (nint)(_pointer + offset) & ~pageMask;
        var end = (nint)(_pointer + offset + length);
        if (Advise(first, (nuint)(end - first), AdvisePopulateRead) == 0)
        {
            return;
        }

        switch (Marshal.GetLastPInvokeError())
        {
            case InvalidArgument:
                _populateRefused = true;
                return;
            case BadAddress:
                // As a fault would end: the file is shorter, or its disk does not give the page.
                _source.ThrowIfChanged();
                throw new IOException($"Bytes {offset} to {offset + length} of {Quoted.Plain(Name)} cannot be read: the system gives no page for some of them.");
            default:
                // A lack of memory for page tables, a signal: the touch decides.
                return;
        }
    }

    /// <summary>
    /// Takes the whole pages of a range out of this process's memory, where the system counts them as long as nothing else needs them. They
    /// stay in the page cache, and come from there when they are touched again. A hint: where the system has no such call nothing happens.
    /// </summary>
    /// <inheritdoc cref="AsSpan"/>
    public void Forget(long offset, long length)
    {
        CheckRange(offset, length);
        var pageMask = (nint)Environment.SystemPageSize - 1;
        var first = ((nint)(_pointer + offset) + pageMask) & ~pageMask;
        var end = (nint)(_pointer + offset + length) & ~pageMask;
        if (OperatingSystem.IsLinux() && end > first)
        {
            _ = Advise(first, (nuint)(end - first), AdviseDontNeed);
        }
    }

    /// <summary>Maps an opened file.</summary>
    /// <param name="handle">The file, which may be closed afterwards.</param>
    /// <param name="source">The source that has opened it; its length is that of the file now.</param>
    /// <exception cref="IOException">The system refused.</exception>
    internal static FileMapping Create(SafeFileHandle handle, LocalFileSource source)
    {
        if (source.Length == 0)
        {
            // No system maps nothing; there is no byte that could be asked for.
            return new FileMapping(source, null, null);
        }

        return OperatingSystem.IsWindows() ? MapView(handle, source) : MapPages(handle, source);
    }

    // Private, though nothing is ever written: the pages are the page cache's own either way, and file systems that cannot keep shared
    // mappings coherent (FUSE past its cache, for one) refuse only those.
    private static FileMapping MapPages(SafeFileHandle handle, LocalFileSource source)
    {
        var isHeld = false;
        try
        {
            handle.DangerousAddRef(ref isHeld);
            var start = Map(0, checked((nuint)source.Length), ProtectRead, MapPrivate, (int)handle.DangerousGetHandle(), 0);
            return start != MapFailed
                ? new FileMapping(source, (byte*)start, null)
                : throw new IOException(
                    $"{Quoted.Plain(source.Name)} cannot be mapped: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}. "
                    + "Some file systems map no files, and a process may have no more than vm.max_map_count mappings; read it instead.");
        }
        finally
        {
            if (isHeld)
            {
                handle.DangerousRelease();
            }
        }
    }

    private static FileMapping MapView(SafeFileHandle handle, LocalFileSource source)
    {
        using var file = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        var view = file.CreateViewAccessor(0, source.Length, MemoryMappedFileAccess.Read);
        try
        {
            byte* pointer = null;
            // The reference that this takes keeps the view also where nobody disposes it.
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
            return new FileMapping(source, pointer + view.PointerOffset, view);
        }
        catch
        {
            view.Dispose();
            throw;
        }
    }

    private void Unmap()
    {
        _source.CountMapping(-1);
        if (_view is not null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
        }
        else if (_pointer is not null && Unmap((nint)_pointer, (nuint)Length) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    private void CheckRange(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(IsUnmapped, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Advise(nint address, nuint length, int advice);
}
