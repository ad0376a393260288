using System.ComponentModel;
using System.Runtime.CompilerServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Freed memory that a host device keeps for later allocations.</summary>
public sealed class KeptMemoryTests
{
    private const long Mebibyte = 1 << 20;

    [Fact]
    public void Nothing_is_kept_unless_it_is_asked_for()
    {
        Assert.Equal(0, HostDevice.Shared.MaximumKeptBytes);
        var device = new HostDevice();
        device.Allocate(4 * Mebibyte).Dispose();
        Assert.Equal((0L, 0L, 0L), (device.MaximumKeptBytes, device.KeptBytes, device.TrimKept()));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.MaximumKeptBytes = -1);
    }

    [LinuxFact]
    public void Freed_memory_is_given_out_again_with_its_pages()
    {
        var device = new HostDevice { MaximumKeptBytes = 64 * Mebibyte };
        var first = (HostMemory)device.Allocate(8 * Mebibyte);
        var address = first.Address;
        first.Populate(0, 4 * Mebibyte);
        first.AsSpan(5, 1)[0] = 42;
        first.Dispose();
        Assert.Equal((8 * Mebibyte, 0L, 0L), (device.KeptBytes, device.LiveBytes, device.LiveAllocations));
        Assert.Throws<ObjectDisposedException>(() => first.Populate(0, 1));

        var second = (HostMemory)device.Allocate((8 * Mebibyte) - 100);
        Assert.Equal((address, (8 * Mebibyte) - 100), (second.Address, second.Length));
        Assert.Equal((0L, second.Length, 1L), (device.KeptBytes, device.LiveBytes, device.LiveAllocations));
        Assert.Equal(42, second.AsSpan(5, 1)[0]);

        // The half that was made present is not asked for again, the other is, once.
        Assert.Equal(TimeSpan.Zero, second.Populate(0, 4 * Mebibyte));
        Assert.NotEqual(TimeSpan.Zero, second.Populate(0, second.Length));
        Assert.Equal(TimeSpan.Zero, second.Populate(0, second.Length));
        second.Dispose();
        Assert.Equal((8 * Mebibyte, 8 * Mebibyte, 0L), (device.KeptBytes, device.TrimKept(), device.KeptBytes));
    }

    [LinuxFact]
    public void What_is_kept_meanwhile_comes_on_top_and_is_freed_in_the_end()
    {
        var device = new HostDevice { MaximumKeptBytes = 2 * Mebibyte };
        Assert.Throws<ArgumentOutOfRangeException>(() => device.KeepMeanwhile(-1));
        var (first, second) = (device.KeepMeanwhile(4 * Mebibyte), device.KeepMeanwhile(3 * Mebibyte));
        device.Allocate(9 * Mebibyte).Dispose();
        Assert.Equal((2 * Mebibyte, 9 * Mebibyte), (device.MaximumKeptBytes, device.KeptBytes));
        device.Allocate(10 * Mebibyte).Dispose();
        Assert.Equal(0, device.KeptBytes);
        device.Allocate(6 * Mebibyte).Dispose();
        second.Dispose();
        Assert.Equal(6 * Mebibyte, device.KeptBytes);
        device.MaximumKeptBytes = Mebibyte;
        Assert.Equal(0, device.KeptBytes);
        device.Allocate(5 * Mebibyte).Dispose();
        Assert.Equal(5 * Mebibyte, device.KeptBytes);
        first.Dispose();
        Assert.Equal(0, device.KeptBytes);
        // Ended is ended.
        first.Dispose();
        device.Allocate(2 * Mebibyte).Dispose();
        Assert.Equal(0, device.KeptBytes);
    }

    [LinuxTheory]
    [InlineData(7 * Mebibyte, true)]
    [InlineData((7 * Mebibyte) - 1, false)]
    [InlineData((8 * Mebibyte) + 1, false)]
    public void At_most_an_eighth_of_a_kept_block_is_wasted(long bytes, bool isReused)
    {
        var device = new HostDevice { MaximumKeptBytes = 64 * Mebibyte };
        device.Allocate(8 * Mebibyte).Dispose();
        using (device.Allocate(bytes))
        {
            // What fits nothing has the kept block freed, whose room it takes.
            Assert.Equal(0, device.KeptBytes);
        }

        Assert.Equal(isReused ? 8 * Mebibyte : (bytes + 4095) / 4096 * 4096, device.KeptBytes);
        device.TrimKept();
    }

    [LinuxFact]
    public void The_block_that_fits_best_is_taken()
    {
        var device = new HostDevice { MaximumKeptBytes = 256 * Mebibyte };
        var blocks = new[] { 80L, 84, 82, 90 }.Select(size => (HostMemory)device.Allocate(size * Mebibyte)).ToArray();
        var addresses = blocks.Select(block => block.Address).ToArray();
        device.MaximumKeptBytes = 400 * Mebibyte;
        Array.ForEach(blocks, block => block.Dispose());
        using var taken = (HostMemory)device.Allocate(81 * Mebibyte);
        Assert.Equal(addresses[2], taken.Address);
        Assert.Equal((80 + 84 + 90) * Mebibyte, device.TrimKept());
    }

    [LinuxFact]
    public void Of_what_is_beyond_the_limit_the_oldest_is_freed()
    {
        var device = new HostDevice { MaximumKeptBytes = 10 * Mebibyte };
        var blocks = new[] { 4L, 3, 2, 4, 11 }.Select(size => (HostMemory)device.Allocate(size * Mebibyte)).ToArray();
        foreach (var (block, kept) in blocks.Zip([4, 7, 9, 9, 9]))
        {
            block.Dispose();
            Assert.Equal(kept * Mebibyte, device.KeptBytes);
        }

        device.MaximumKeptBytes = 8 * Mebibyte;
        Assert.Equal(6 * Mebibyte, device.KeptBytes);
        device.MaximumKeptBytes = 0;
        Assert.Equal(0, device.KeptBytes);
    }

    [LinuxFact]
    public void What_fits_nothing_frees_as_much_as_it_takes_and_what_came_first_stays()
    {
        var device = new HostDevice { MaximumKeptBytes = 100 * Mebibyte };
        var blocks = new[] { 2L, 4, 8, 16 }.Select(size => (HostMemory)device.Allocate(size * Mebibyte)).ToArray();
        Array.ForEach(blocks, block => block.Dispose());
        using (device.Allocate(20 * Mebibyte))
        {
            Assert.Equal(6 * Mebibyte, device.KeptBytes);
            using var first = (HostMemory)device.Allocate(2 * Mebibyte);
            Assert.Equal(4 * Mebibyte, device.KeptBytes);
        }

        device.TrimKept();
    }

    [LinuxFact]
    public void Small_and_page_locked_memory_is_not_kept()
    {
        var device = new HostDevice { MaximumKeptBytes = 100 * Mebibyte };
        device.Allocate(Mebibyte - 1).Dispose();
        device.AllocatePageLocked(4 * Mebibyte, new ProbeDevice("gpu") { LocksPages = true }).Dispose();
        Assert.Equal(0, device.KeptBytes);
    }

    [LinuxFact]
    public void A_system_without_memory_gets_back_what_is_kept_before_an_allocation_fails()
    {
        var refusals = 0;
        var device = new HostDevice(bytes => refusals-- > 0 ? throw new Win32Exception(12) : NativePages.Allocate(bytes))
        {
            MaximumKeptBytes = 100 * Mebibyte,
        };
        var blocks = new[] { device.Allocate(32 * Mebibyte), device.Allocate(16 * Mebibyte) };
        Array.ForEach(blocks, block => block.Dispose());
        refusals = 1;
        using (device.Allocate(2 * Mebibyte))
        {
            Assert.Equal((0L, 2 * Mebibyte), (device.KeptBytes, device.LiveBytes));
        }

        // Nothing is left to give back, or what was given back is not enough.
        device.TrimKept();
        refusals = 1;
        Assert.Throws<DeviceMemoryException>(() => device.Allocate(2 * Mebibyte));
        device.Allocate(32 * Mebibyte).Dispose();
        refusals = 2;
        Assert.Throws<DeviceMemoryException>(() => device.Allocate(2 * Mebibyte));
        Assert.Equal((0L, 0L, 0L), (device.KeptBytes, device.LiveBytes, device.LiveAllocations));
    }

    [LinuxFact]
    public void Memory_that_is_kept_counts_as_free()
    {
        // Beyond what others can free or take meanwhile, on any machine that runs tests, by a factor.
        const long bytes = 512 * Mebibyte;
        var device = new HostDevice { MaximumKeptBytes = bytes };
        var memory = device.Allocate(bytes);
        memory.Populate(0, bytes);
        memory.Dispose();
        var (kept, others) = (device.FreeMemory, HostDevice.Shared.FreeMemory);
        Assert.True(kept > others + (bytes / 2), $"{kept} bytes free with what is kept, {others} without.");
        device.TrimKept();
    }

    [LinuxFact]
    public void A_device_that_nobody_has_any_more_keeps_nothing()
    {
        var address = KeepAndForget();
        // Another test's memory may come to lie there for a while.
        for (var i = 0; i < 200 && IsMapped(address); i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Thread.Sleep(10);
        }

        Assert.False(IsMapped(address));
    }

    [LinuxFact]
    public void Threads_side_by_side_never_share_a_block_and_keep_no_more_than_the_limit() =>
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            const long limit = 24 * Mebibyte;
            var device = new HostDevice { MaximumKeptBytes = limit };
            Parallel.For(0, 4, thread =>
            {
                var random = new Random(HashCode.Combine(seed, thread));
                var live = new List<(HostMemory Memory, long Mark)>();
                for (var i = 0; i < 60; i++)
                {
                    Assert.InRange(device.KeptBytes, 0, limit);
                    if (live.Count > 0 && random.Next(2) == 0)
                    {
                        var index = random.Next(live.Count);
                        CheckAndFree(live[index]);
                        live.RemoveAt(index);
                    }
                    else if (random.Next(20) == 0)
                    {
                        device.TrimKept();
                    }
                    else
                    {
                        var memory = (HostMemory)device.Allocate(random.NextInt64(Mebibyte, 4 * Mebibyte));
                        var mark = random.NextInt64();
                        Mark(memory, mark);
                        live.Add((memory, mark));
                    }
                }

                live.ForEach(CheckAndFree);
            });

            Assert.InRange(device.KeptBytes, 0, limit);
            device.TrimKept();
            Assert.Equal((0L, 0L, 0L), (device.KeptBytes, device.LiveBytes, device.LiveAllocations));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(20));

    // A word a page, and the last bytes: whoever shared a page would have written its own.
    private static void Mark(HostMemory memory, long mark)
    {
        for (long offset = 0; offset < memory.Length - 8; offset += 4096)
        {
            BitConverter.TryWriteBytes(memory.AsSpan(offset, 8), mark);
        }

        BitConverter.TryWriteBytes(memory.AsSpan(memory.Length - 8, 8), mark);
    }

    private static void CheckAndFree((HostMemory Memory, long Mark) block)
    {
        var (memory, mark) = block;
        for (long offset = 0; offset < memory.Length - 8; offset += 4096)
        {
            // The last word may lie over one of these.
            Assert.True(offset + 8 > memory.Length - 8 || BitConverter.ToInt64(memory.AsSpan(offset, 8)) == mark);
        }

        Assert.Equal(mark, BitConverter.ToInt64(memory.AsSpan(memory.Length - 8, 8)));
        memory.Dispose();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint KeepAndForget()
    {
        var device = new HostDevice { MaximumKeptBytes = 1L << 30 };
        var memory = (HostMemory)device.Allocate(700 * Mebibyte);
        var address = memory.Address;
        memory.Dispose();
        Assert.True(IsMapped(address));
        return address;
    }

    // Most of it in one mapping: smaller memory may come to lie there.
    private static bool IsMapped(nint address) =>
        File.ReadLines("/proc/self/maps").Any(line =>
        {
            var ends = line[..line.IndexOf(' ')].Split('-');
            return Convert.ToInt64(ends[0], 16) <= address && Convert.ToInt64(ends[1], 16) >= address + (600 * Mebibyte);
        });
}
