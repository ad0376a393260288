using System.Runtime.InteropServices;
using IlgpuLoader.TestKit;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed partial class PageCacheTests : IDisposable
{
    private const int Megabyte = 1 << 20;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public void ResidentShare_FileThatWasJustWritten_IsWhole()
    {
        using var handle = File.OpenHandle(_folder.Write("f", new byte[3 * Megabyte]));
        Assert.Equal(1, PageCache.ResidentShare(handle, 0, 3 * Megabyte));
        Assert.Equal(1, PageCache.ResidentShare(handle, 4097, 10));
        Assert.Null(PageCache.ResidentShare(handle, 0, 0));
    }

    [LinuxFact]
    public void CountByMapping_FileThatWasJustWritten_CountsItsPages()
    {
        using var handle = File.OpenHandle(_folder.Write("f", new byte[3 * Megabyte]));
        var pages = 3L * Megabyte / Environment.SystemPageSize;
        Assert.Equal(pages, PageCache.CountByMapping(handle, 0, pages));
        Assert.Equal(1, PageCache.CountByMapping(handle, Environment.SystemPageSize, 1));
        Assert.Null(PageCache.CountByMapping(handle, 17, 1));
    }

    [LinuxFact]
    public void ResidentShare_SparseFileOfATerabyte_IsNothingAndCountedInWindows()
    {
        using var handle = File.OpenHandle(_folder["f"], FileMode.Create, FileAccess.ReadWrite);
        const long length = 1L << 40;
        RandomAccess.SetLength(handle, length);
        Assert.Equal(0, PageCache.ResidentShare(handle, 0, length));
        // The last window is the end.
        RandomAccess.Write(handle, new byte[PageCache.WindowBytes], length - PageCache.WindowBytes);
        Assert.Equal(1.0 / 32, PageCache.ResidentShare(handle, 0, length));
        Assert.Equal(1, PageCache.ResidentShare(handle, length - PageCache.WindowBytes, PageCache.WindowBytes));
    }

    [Theory]
    [InlineData(0xEF53, FileSystemKind.Disk)]
    [InlineData(0x58465342, FileSystemKind.Disk)]
    [InlineData(0x01021994, FileSystemKind.Memory)]
    [InlineData(0x6969, FileSystemKind.Remote)]
    [InlineData(0xFE534D42, FileSystemKind.Remote)]
    [InlineData(0x65735546, FileSystemKind.Remote)]
    [InlineData(0x2FC12FC1, FileSystemKind.Other)]
    [InlineData(0, FileSystemKind.Other)]
    public void FileSystemKinds_OfATypeOfLinux_IsWhereItsBytesAre(uint type, FileSystemKind kind) =>
        Assert.Equal(kind, FileSystemKinds.Of(type));

    /// <summary>Drops what is cached of a file whose bytes are on the disk.</summary>
    internal static void Forget(SafeFileHandle handle)
    {
        const int doNotNeed = 4;
        Assert.Equal(0, Advise(handle, 0, 0, doNotNeed));
    }

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(SafeFileHandle file, long offset, long length, int advice);
}
