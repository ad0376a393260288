using System.Buffers;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class StagingPoolTests
{
    [Fact]
    public void Slots_are_handed_out_once_each_and_are_of_one_size()
    {
        var device = new HostDevice();
        using (var pool = device.CreateStagingPool(5000, 3))
        {
            Assert.Equal((5000, 3, 5000), (pool.SlotBytes, pool.SlotCount, pool.MaxBufferSize));
            var leases = Enumerable.Range(0, 3).Select(_ => pool.Rent()).ToArray();
            Assert.Equal(3, pool.RentedCount);
            for (var i = 0; i < leases.Length; i++)
            {
                Assert.Equal(5000, leases[i].Memory.Length);
                leases[i].Memory.Span.Fill((byte)(i + 1));
            }

            Assert.All(leases.Index(), lease => Assert.Equal(5000, lease.Item.Memory.Span.Count((byte)(lease.Index + 1))));
            Array.ForEach(leases, lease => lease.Dispose());
            Assert.Equal(0, pool.RentedCount);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public unsafe void Slots_begin_on_pages()
    {
        using var pool = new HostDevice().CreateStagingPool(1 << 20, 4);
        for (var i = 0; i < 4; i++)
        {
            using var pin = pool.Rent().Memory.Pin();
            Assert.Equal(0, (nint)pin.Pointer % Environment.SystemPageSize);
        }
    }

    [Fact]
    public void One_slot_too_many_is_refused_until_one_comes_back()
    {
        using var pool = new HostDevice().CreateStagingPool(10, 2);
        using var first = pool.Rent(10);
        var second = pool.Rent(0);
        var error = Assert.Throws<InvalidOperationException>(() => pool.Rent());
        Assert.Contains("All 2 staging slots", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, pool.RentedCount);

        second.Dispose();
        Assert.Equal(1, pool.RentedCount);
        using var third = pool.Rent();
        Assert.Equal(2, pool.RentedCount);
    }

    [Fact]
    public void A_slot_comes_back_once_however_often_its_lease_is_disposed()
    {
        using var pool = new HostDevice().CreateStagingPool(10, 1);
        var lease = pool.Rent();
        lease.Dispose();
        lease.Dispose();
        Assert.Equal(0, pool.RentedCount);
        using var again = pool.Rent();
        Assert.Throws<InvalidOperationException>(() => pool.Rent());
    }

    [Fact]
    public void More_than_a_slot_is_refused()
    {
        using var pool = new HostDevice().CreateStagingPool(10, 1);
        Assert.Throws<ArgumentOutOfRangeException>(() => pool.Rent(11));
        Assert.Equal(0, pool.RentedCount);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(-1, 1)]
    [InlineData(1, 0)]
    [InlineData(1, -1)]
    public void A_pool_of_nothing_is_refused(int slotBytes, int slotCount)
    {
        var device = new HostDevice();
        Assert.Throws<ArgumentOutOfRangeException>(() => device.CreateStagingPool(slotBytes, slotCount));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void A_disposed_pool_hands_out_nothing()
    {
        var device = new HostDevice();
        var pool = device.CreateStagingPool(10, 2);
        pool.Rent().Dispose();
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.Rent());
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void Many_threads_never_share_a_slot_nor_see_more_than_there_are()
    {
        const int slots = 3;
        using var pool = new HostDevice().CreateStagingPool(64, slots);
        using var gate = new SemaphoreSlim(slots);
        var wrong = 0;
        Parallel.For(0, 4000, new ParallelOptions { MaxDegreeOfParallelism = 6 }, i =>
        {
            gate.Wait();
            var lease = pool.Rent();
            lease.Memory.Span.Fill((byte)i);
            if (pool.RentedCount > slots || lease.Memory.Span.Count((byte)i) != 64)
            {
                Interlocked.Increment(ref wrong);
            }

            lease.Dispose();
            gate.Release();
        });
        Assert.Equal(0, wrong);
        Assert.Equal(0, pool.RentedCount);
    }
}
