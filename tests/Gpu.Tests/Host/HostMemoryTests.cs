using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class HostMemoryTests
{
    private const long Mebibyte = 1 << 20;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65)]
    [InlineData(Mebibyte - 1)]
    [InlineData(Mebibyte)]
    [InlineData((2 * Mebibyte) - 1)]
    public void Memory_begins_on_a_cache_line(long bytes)
    {
        var device = new HostDevice();
        using (var memory = (HostMemory)device.Allocate(bytes))
        {
            Assert.NotEqual(0, memory.Address);
            Assert.Equal(0, memory.Address % 64);
            Assert.Equal(bytes, memory.Length);
            memory.AsSpan(0, (int)bytes).Fill(7);
            Assert.Equal(bytes, memory.AsSpan(0, (int)bytes).Count((byte)7));
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [LinuxFact]
    public void Large_memory_begins_on_a_huge_page_whatever_lies_before_it()
    {
        var device = new HostDevice();
        var blocks = new[] { 2 * Mebibyte, (2 * Mebibyte) + 1, 3 * Mebibyte, (5 * Mebibyte) - 1, 8 * Mebibyte }
            .Select(bytes => (HostMemory)device.Allocate(bytes))
            .ToArray();
        Assert.All(blocks, block => Assert.Equal(0, block.Address % (2 * Mebibyte)));

        // Each to its last byte, and no two of them overlap.
        for (var i = 0; i < blocks.Length; i++)
        {
            blocks[i].AsSpan(0, (int)blocks[i].Length).Fill((byte)(i + 1));
        }

        for (var i = 0; i < blocks.Length; i++)
        {
            Assert.Equal(blocks[i].Length, blocks[i].AsSpan(0, (int)blocks[i].Length).Count((byte)(i + 1)));
            blocks[i].Dispose();
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [LinuxFact]
    public void More_than_2_GiB_can_be_addressed_to_the_end()
    {
        const long bytes = (3L << 30) + 5;
        var device = new HostDevice();
        using (var memory = (HostMemory)device.Allocate(bytes))
        {
            Assert.Equal(bytes, device.LiveBytes);
            memory.AsSpan(0, 1)[0] = 1;
            memory.AsSpan(bytes - 3, 3).Fill(9);
            memory.AsMemory(1L << 31, 2).Span.Fill(8);
            Assert.Equal([9, 9, 9], memory.AsMemory(bytes - 3, 3).ToArray());
            Assert.Equal([8, 8], memory.AsSpan(1L << 31, 2).ToArray());
            Assert.Equal(1, memory.AsSpan(0, 1)[0]);
            Assert.Throws<ArgumentOutOfRangeException>(() => memory.AsSpan(bytes - 2, 3));
        }

        Assert.Equal(0, device.LiveBytes);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 11)]
    [InlineData(10, 1)]
    [InlineData(11, 0)]
    [InlineData(5, -1)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(long.MaxValue, int.MaxValue)]
    public void Ranges_beyond_the_memory_are_refused(long offset, int length)
    {
        using var memory = (HostMemory)new HostDevice().Allocate(10);
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.AsSpan(offset, length));
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.AsMemory(offset, length));
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.Populate(offset, length));
    }

    [Fact]
    public void Freed_memory_is_refused()
    {
        var memory = (HostMemory)new HostDevice().Allocate(10);
        memory.Dispose();
        Assert.Throws<ObjectDisposedException>(() => memory.AsSpan(0, 1));
        Assert.Throws<ObjectDisposedException>(() => memory.AsMemory(0, 0));
        Assert.Throws<ObjectDisposedException>(() => memory.Populate(0, 1));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    public void A_negative_size_is_refused(long bytes) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new HostDevice().Allocate(bytes));

    [LinuxFact]
    public void What_the_system_refuses_is_a_device_memory_error_and_counts_nothing()
    {
        var device = new HostDevice();
        foreach (var bytes in new[] { 1L << 60, long.MaxValue - (3 << 20), long.MaxValue })
        {
            var error = Assert.Throws<DeviceMemoryException>(() => device.Allocate(bytes));
            Assert.Equal(("host", bytes), (error.Device, error.Requested));
            Assert.True(error.Available < bytes);
            Assert.NotNull(error.InnerException);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void Populating_keeps_what_is_there()
    {
        using var memory = (HostMemory)new HostDevice().Allocate(3 * Mebibyte);
        memory.AsSpan(100, 5).Fill(1);
        memory.AsSpan((int)memory.Length - 1, 1)[0] = 2;
        memory.Populate(0, memory.Length);
        memory.Populate(102, 5000);
        memory.MarkPopulated();
        Assert.Equal(TimeSpan.Zero, memory.Populate(0, memory.Length));
        Assert.Equal([0, 1, 1, 1, 1, 1, 0], memory.AsSpan(99, 7).ToArray());
        Assert.Equal(2, memory.AsSpan((int)memory.Length - 1, 1)[0]);
        Assert.Equal(6, memory.Length - memory.AsSpan(0, (int)memory.Length).Count((byte)0));
    }

    [LinuxFact]
    public void Populating_a_part_makes_the_huge_pages_around_it_present_once()
    {
        using var memory = (HostMemory)new HostDevice().Allocate((5 * Mebibyte) + 1);
        Assert.NotEqual(TimeSpan.Zero, memory.Populate((2 * Mebibyte) + 5000, 1));
        Assert.Equal(TimeSpan.Zero, memory.Populate(2 * Mebibyte, 2 * Mebibyte));
        Assert.Equal(TimeSpan.Zero, memory.Populate(3 * Mebibyte, 0));
        Assert.NotEqual(TimeSpan.Zero, memory.Populate(memory.Length - 1, 1));
        Assert.Equal(TimeSpan.Zero, memory.Populate(4 * Mebibyte, Mebibyte));
        Assert.NotEqual(TimeSpan.Zero, memory.Populate(0, memory.Length));
        Assert.Equal(TimeSpan.Zero, memory.Populate(0, memory.Length));
    }

    [LinuxFact]
    public async Task Threads_may_populate_and_write_the_same_pages_side_by_side()
    {
        using var memory = (HostMemory)new HostDevice().Allocate(16 * Mebibyte);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            for (long offset = thread * 4096; offset < memory.Length; offset += 4 * 4096)
            {
                memory.Populate(offset, 4096);
                memory.AsSpan(offset, 4096).Fill((byte)(1 + (offset / 4096 % 251)));
            }
        })));
        for (long offset = 0; offset < memory.Length; offset += 4096)
        {
            Assert.False(memory.AsSpan(offset, 4096).ContainsAnyExcept((byte)(1 + (offset / 4096 % 251))));
        }
    }

    [HugePagesFact]
    public void Populated_memory_lies_in_huge_pages()
    {
        const long bytes = 64 * Mebibyte;
        using var memory = (HostMemory)new HostDevice().Allocate(bytes);
        for (long offset = 0; offset < bytes; offset += 100_000)
        {
            memory.Populate(offset, Math.Min(100_000, bytes - offset));
        }

        // The system gives small pages where it finds no free huge ones; that all of them are small would be the madvise missing.
        Assert.True(HugePageBytes(memory.Address) >= 2 * Mebibyte);
    }

    [Fact]
    public void Small_memory_needs_no_populating()
    {
        using var memory = (HostMemory)new HostDevice().Allocate(100);
        Assert.Equal(TimeSpan.Zero, memory.Populate(0, 100));
    }

    [Fact]
    public unsafe void Memory_pins_at_its_own_address()
    {
        using var memory = (HostMemory)new HostDevice().Allocate(100);
        using var pin = memory.AsMemory(10, 20)[5..].Pin();
        Assert.Equal(memory.Address + 15, (nint)pin.Pointer);
    }

    [Fact]
    public void The_host_describes_itself()
    {
        var device = new HostDevice();
        Assert.Equal(("host", "host", DeviceKind.Host, true), (device.Id, device.ToString(), device.Kind, device.IsHost));
        Assert.Contains($"{Environment.ProcessorCount} logical core", device.Name, StringComparison.Ordinal);
        Assert.InRange(device.FreeMemory, 1, device.TotalMemory);
        Assert.InRange(device.PreferredSlotBytes, 512 << 10, 2 << 20);
    }

    // The field of smaps (proc(5)) of the mapping that the address lies in; the kernel joins neighbours that are alike.
    private static long HugePageBytes(nint address)
    {
        var isWithin = false;
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            var first = line[..line.IndexOf(' ')];
            if (first.Split('-') is [var start, var end])
            {
                isWithin = Convert.ToInt64(start, 16) <= address && address < Convert.ToInt64(end, 16);
            }
            else if (isWithin && first == "AnonHugePages:")
            {
                return long.Parse(line.AsSpan(first.Length).TrimEnd("kB").Trim(), CultureInfo.InvariantCulture) * 1024;
            }
        }

        return 0;
    }
}
