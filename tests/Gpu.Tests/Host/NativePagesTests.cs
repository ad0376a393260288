using System.Buffers.Binary;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed unsafe class NativePagesTests
{
    private const int Pages = 300;

    private static readonly int Page = Environment.SystemPageSize;

    [LinuxFact]
    public void Populating_makes_exactly_the_pages_of_the_range_present() => CheckPresence((start, length) => Assert.True(NativePages.TryPopulate(start, length)));

    [LinuxFact]
    public void Touching_makes_exactly_the_pages_of_the_range_present() => CheckPresence(NativePages.Touch);

    // Others write to the rest of the piece meanwhile: a byte that is written back there would be theirs of a moment ago.
    [LinuxFact]
    public void Where_the_kernel_refuses_memory_touches_no_more_than_it_was_asked_for()
    {
        var refused = NativePages.RefusesPopulating;
        NativePages.RefusesPopulating = true;
        try
        {
            using var memory = (HostMemory)new HostDevice().Allocate(Pages * (long)Page);
            memory.Populate((10 * Page) + 100, 5 * Page);
            Assert.Equal([10, 11, 12, 13, 14, 15], PresentPages(memory.Address).Index().Where(page => page.Item).Select(page => page.Index));
        }
        finally
        {
            NativePages.RefusesPopulating = refused;
        }
    }

    [LinuxFact]
    public void Touching_keeps_what_is_there()
    {
        var block = NativePages.Allocate(Pages * (long)Page);
        var all = new Span<byte>((byte*)block.Address, Pages * Page);
        for (var i = 0; i < all.Length; i++)
        {
            all[i] = (byte)(i * 31);
        }

        NativePages.Touch((byte*)block.Address + 17, (20 * Page) + 5);
        for (var i = 0; i < all.Length; i++)
        {
            Assert.True(all[i] == (byte)(i * 31));
        }

        NativePages.Free(block);
    }

    [LinuxFact]
    public void Fresh_pages_are_zero_and_the_mapping_has_whole_pages()
    {
        var block = NativePages.Allocate((1 << 20) + 1);
        Assert.True(block.IsMapped);
        Assert.Equal((1 << 20) + Page, block.Bytes);
        Assert.False(new Span<byte>((byte*)block.Address, (int)block.Bytes).ContainsAnyExcept((byte)0));
        NativePages.Free(block);
    }

    [Fact]
    public void Small_blocks_come_from_the_library()
    {
        var block = NativePages.Allocate(0);
        Assert.False(block.IsMapped);
        Assert.NotEqual(0, block.Address);
        NativePages.Free(block);
    }

    private delegate void Present(byte* start, long length);

    // A range that begins and ends inside pages, in a block too small for huge pages.
    private static void CheckPresence(Present present)
    {
        var block = NativePages.Allocate(Pages * (long)Page);
        Assert.DoesNotContain(true, PresentPages(block.Address));

        present((byte*)block.Address + (10 * Page) + 100, 5 * Page);
        present((byte*)block.Address + (20 * Page) - 1, 2);
        present((byte*)block.Address + (30 * Page), 1);
        var expected = new HashSet<int> { 10, 11, 12, 13, 14, 15, 19, 20, 30 };
        Assert.Equal(expected, PresentPages(block.Address).Index().Where(page => page.Item).Select(page => page.Index).ToHashSet());
        NativePages.Free(block);
    }

    // Bit 63 of an entry of pagemap (proc(5)) says that a page is present; a process may always ask for its own.
    private static bool[] PresentPages(nint address)
    {
        using var file = File.OpenHandle("/proc/self/pagemap");
        var entries = new byte[Pages * 8];
        Assert.Equal(entries.Length, RandomAccess.Read(file, entries, address / Page * 8));
        return [.. Enumerable.Range(0, Pages).Select(i => BinaryPrimitives.ReadUInt64LittleEndian(entries.AsSpan(i * 8)) >> 63 == 1)];
    }
}
