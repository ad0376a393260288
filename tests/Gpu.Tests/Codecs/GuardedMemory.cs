using System.Runtime.InteropServices;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Memory that ends where an unreadable page begins. Linux only.</summary>
internal sealed unsafe partial class GuardedMemory : IDisposable
{
    private const int ReadWrite = 3;
    private const int PrivateAnonymous = 0x22;

    private readonly nuint _half = (nuint)Environment.SystemPageSize * 4;
    private readonly byte* _first;

    public GuardedMemory()
    {
        _first = (byte*)Map(0, 2 * _half, ReadWrite, PrivateAnonymous, -1, 0);
        Assert.NotEqual(-1, (nint)_first);
        Assert.Equal(0, Protect((nint)(_first + _half), _half, 0));
    }

    /// <summary>All that is readable.</summary>
    public Span<byte> Span => new(_first, (int)_half);

    public void Dispose() => _ = Unmap((nint)_first, 2 * _half);

    [LibraryImport("libc", EntryPoint = "mmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int Protect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int Unmap(nint address, nuint length);
}
