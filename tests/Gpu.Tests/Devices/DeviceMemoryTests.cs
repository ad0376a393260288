using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class DeviceMemoryTests
{
    private const int Threads = 8;

    [Fact]
    public void New_memory_has_one_reference_and_is_counted_on_its_device()
    {
        var device = new MetaDevice();
        var memory = new ProbeMemory(device, 100);
        Assert.Same(device, memory.Device);
        Assert.Equal((1, 100L), (device.LiveAllocations, device.LiveBytes));
        Assert.False(memory.IsFreed);

        memory.Dispose();
        Assert.True(memory.IsFreed);
        Assert.Equal(1, memory.Frees);
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void Memory_is_freed_with_its_last_reference_and_not_before()
    {
        var device = new MetaDevice();
        var memory = new ProbeMemory(device, 1);
        memory.AddReference();
        memory.AddReference();
        memory.Dispose();
        memory.Release();
        Assert.False(memory.IsFreed);
        Assert.Equal(1, device.LiveAllocations);

        memory.Release();
        Assert.Equal(1, memory.Frees);
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void A_release_too_many_is_refused_and_changes_nothing()
    {
        var device = new MetaDevice();
        var memory = new ProbeMemory(device, 7);
        memory.Dispose();
        Assert.Throws<ObjectDisposedException>(memory.Release);
        Assert.Throws<ObjectDisposedException>(memory.Dispose);
        Assert.True(memory.IsFreed);
        Assert.Equal(1, memory.Frees);
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void A_reference_to_freed_memory_is_refused()
    {
        var memory = new ProbeMemory(new MetaDevice(), 7);
        memory.Dispose();
        Assert.Throws<ObjectDisposedException>(memory.AddReference);
        Assert.True(memory.IsFreed);
    }

    [Fact]
    public void References_from_many_threads_add_up()
    {
        var device = new MetaDevice();
        var memory = new ProbeMemory(device, 3);
        OnThreads(_ =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                memory.AddReference();
                memory.Release();
            }
        });
        Assert.False(memory.IsFreed);
        memory.Dispose();
        Assert.Equal(1, memory.Frees);
    }

    [Fact]
    public void The_last_reference_frees_once_whichever_thread_has_it()
    {
        var device = new MetaDevice();
        for (var round = 0; round < 500; round++)
        {
            var memory = new ProbeMemory(device, 5);
            for (var i = 1; i < Threads; i++)
            {
                memory.AddReference();
            }

            OnThreads(_ => memory.Release());
            Assert.Equal(1, memory.Frees);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public void Freed_memory_stays_freed_however_many_threads_release_and_add()
    {
        var memory = new ProbeMemory(new MetaDevice(), 5);
        memory.Dispose();
        var revived = 0;
        OnThreads(thread =>
        {
            for (var i = 0; i < 2_000; i++)
            {
                try
                {
                    if (thread % 2 == 0)
                    {
                        memory.AddReference();
                    }
                    else
                    {
                        memory.Release();
                    }

                    Interlocked.Increment(ref revived);
                }
                catch (ObjectDisposedException)
                {
                    if (!memory.IsFreed)
                    {
                        Interlocked.Increment(ref revived);
                    }
                }
            }
        });
        Assert.Equal(0, revived);
        Assert.Equal(1, memory.Frees);
    }

    [Fact]
    public void Devices_count_apart()
    {
        var (first, second) = (new HostDevice(), new HostDevice());
        using (first.Allocate(10))
        using (second.Allocate(0))
        {
            Assert.Equal((1, 10L), (first.LiveAllocations, first.LiveBytes));
            Assert.Equal((1, 0L), (second.LiveAllocations, second.LiveBytes));
        }

        Assert.Equal((0, 0L), (first.LiveAllocations, first.LiveBytes));
        Assert.Equal(0, second.LiveAllocations);
    }

    private static void OnThreads(Action<int> work)
    {
        using var start = new Barrier(Threads);
        var threads = Enumerable.Range(0, Threads).Select(index => new Thread(() =>
        {
            start.SignalAndWait();
            work(index);
        })).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
    }

    private sealed class ProbeMemory(Device device, long length) : DeviceMemory(device, length)
    {
        private int _frees;

        public int Frees => Volatile.Read(ref _frees);

        protected override void Free() => Interlocked.Increment(ref _frees);
    }
}
