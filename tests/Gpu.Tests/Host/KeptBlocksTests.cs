using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class KeptBlocksTests
{
    private readonly HostDevice _host = new();

    [Fact]
    public void A_block_that_came_back_is_given_out_again_to_who_wants_that_size()
    {
        using var kept = new KeptBlocks(100);
        var block = Allocate(60);
        kept.Give(block);
        Assert.Equal((60L, 1L), (kept.Bytes, _host.LiveAllocations));
        Assert.Null(kept.Take(40));
        Assert.Same(block, kept.Take(60));
        Assert.Null(kept.Take(60));
        Assert.Equal(0, kept.Bytes);
        kept.Give(block);
    }

    [Fact]
    public void What_is_beyond_the_limit_is_freed()
    {
        using var kept = new KeptBlocks(100);
        kept.Give(Allocate(60));
        kept.Give(Allocate(41));
        Assert.Equal((60L, 60L), (kept.Bytes, _host.LiveBytes));
        kept.Give(Allocate(40));
        Assert.Equal((100L, 100L), (kept.Bytes, _host.LiveBytes));
    }

    [Fact]
    public void Blocks_that_have_no_room_beside_a_new_one_are_freed_the_oldest_first()
    {
        using var kept = new KeptBlocks(100);
        kept.Give(Allocate(50));
        kept.Give(Allocate(30));
        kept.Give(Allocate(20));
        Assert.Null(kept.Take(40));
        Assert.Equal((50L, 50L), (kept.Bytes, _host.LiveBytes));
        Assert.Null(kept.Take(101));
        Assert.Equal((0L, 0L), (kept.Bytes, _host.LiveBytes));
    }

    [Fact]
    public void A_block_that_fails_to_unlock_does_not_keep_the_others()
    {
        var probe = new ProbeDevice("a") { LocksPages = true, FailsToUnlock = true };
        var kept = new KeptBlocks(1 << 20);
        kept.Give(_host.AllocatePageLocked(4096, probe));
        kept.Give(_host.AllocatePageLocked(4096, probe));
        kept.Give(Allocate(10));
        Assert.Throws<InvalidOperationException>(kept.Dispose);
        Assert.Empty(probe.Locked);
        Assert.Equal((0L, 0L), (kept.Bytes, _host.LiveBytes));
    }

    [Fact]
    public void The_end_frees_what_is_kept_and_what_comes_back_later()
    {
        var kept = new KeptBlocks(100);
        var late = Allocate(10);
        kept.Give(Allocate(20));
        kept.Dispose();
        Assert.Equal(10, _host.LiveBytes);
        kept.Give(late);
        Assert.Equal((0L, 0L), (kept.Bytes, _host.LiveAllocations));
        kept.Dispose();
    }

    private HostMemory Allocate(long bytes) => (HostMemory)_host.Allocate(bytes);
}
