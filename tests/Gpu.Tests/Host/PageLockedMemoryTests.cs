using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class PageLockedMemoryTests
{
    private readonly HostDevice _host = new();
    private readonly ProbeDevice _device = new("gpu") { LocksPages = true };

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData((3 << 20) + 1)]
    public void Whole_pages_are_locked_that_nothing_else_lies_in(long bytes)
    {
        var page = (long)Environment.SystemPageSize;
        var memory = _host.AllocatePageLocked(bytes, _device);
        var (address, locked) = Assert.Single(_device.Locked);
        Assert.Equal((memory.Address, 0L, (bytes + page - 1) / page * page), (address, address % page, locked));
        Assert.True(memory.IsPageLocked);
        Assert.Equal((bytes, bytes, 1L), (memory.Length, _host.LiveBytes, _host.LiveAllocations));
        Assert.Equal(TimeSpan.Zero, memory.Populate(0, bytes));
        memory.AsSpan(0, (int)bytes).Fill(7);

        // Small ones beside each other, too.
        using (var other = _host.AllocatePageLocked(bytes, _device))
        {
            Assert.True(Math.Abs(other.Address - memory.Address) >= locked);
            other.AsSpan(0, (int)bytes).Fill(9);
            Assert.Equal(bytes, memory.AsSpan(0, (int)bytes).Count((byte)7));
        }

        memory.Dispose();
        Assert.Empty(_device.Locked);
        Assert.Throws<ObjectDisposedException>(memory.Dispose);
        Assert.Equal((0L, 0L, 2), (_host.LiveAllocations, _host.LiveBytes, _device.Locks));
    }

    [Fact]
    public void Where_locking_serves_nothing_the_memory_is_ordinary()
    {
        foreach (var device in new Device[] { _host, HostDevice.Shared, new MetaDevice(), new ProbeDevice("plain"), new DeviceGroup(_host, new ProbeDevice("plain")) })
        {
            using var memory = _host.AllocatePageLocked(100, device);
            Assert.False(memory.IsPageLocked);
        }

        using var empty = _host.AllocatePageLocked(0, _device);
        Assert.False(empty.IsPageLocked);
        Assert.Equal(0, _device.Locks);
    }

    [Fact]
    public void A_driver_that_refuses_leaves_nothing()
    {
        var refusing = new ProbeDevice("gpu") { LocksPages = true, RefusesLocks = true };
        Assert.Equal("gpu", Assert.Throws<DeviceMemoryException>(() => _host.AllocatePageLocked(5000, refusing)).Device);
        using var tensor = Filled(refusing);
        Assert.Throws<DeviceMemoryException>(() => tensor.Offload(_host));
        Assert.Equal((0L, 0L), (_host.LiveAllocations, _host.LiveBytes));
        Assert.Equal(1, refusing.LiveAllocations);
    }

    [LinuxFact]
    public void More_than_is_free_is_refused_before_the_driver_is_asked()
    {
        var bytes = _host.TotalMemory + 1;
        var error = Assert.Throws<DeviceMemoryException>(() => _host.AllocatePageLocked(bytes, _device));
        Assert.Equal(("host", bytes), (error.Device, error.Requested));
        Assert.Contains("gpu", error.Message, StringComparison.Ordinal);
        Assert.Equal((0, 0L), (_device.Locks, _host.LiveBytes));
        Assert.Throws<ArgumentOutOfRangeException>(() => _host.AllocatePageLocked(-1, _device));
        Assert.Throws<ArgumentNullException>(() => _host.AllocatePageLocked(1, null!));
    }

    [Fact]
    public void A_lock_that_fails_to_end_does_not_keep_the_memory()
    {
        var failing = new ProbeDevice("gpu") { LocksPages = true, FailsToUnlock = true };
        var memory = _host.AllocatePageLocked(5000, failing);
        Assert.Throws<InvalidOperationException>(memory.Dispose);
        Assert.Equal((0L, 0L, true), (_host.LiveAllocations, _host.LiveBytes, memory.IsFreed));
    }

    [Fact]
    public void A_group_locks_once_for_all_its_members()
    {
        var second = new ProbeDevice("second") { LocksPages = true };
        var group = new DeviceGroup(new ProbeDevice("plain"), _device, second);
        using (var memory = _host.AllocatePageLocked(100, group))
        {
            Assert.True(memory.IsPageLocked);
            Assert.Equal((1, 0), (_device.Locks, second.Locks));
        }

        Assert.Empty(_device.Locked);
    }

    [Fact]
    public void An_offloaded_tensor_goes_back_as_it_was()
    {
        DType[] dtypes = [DType.U8, DType.BF16, DType.F64, DType.F4, DType.F6_E2M3, DType.Q8_0, DType.Q4_K, DType.C128];
        foreach (var dtype in dtypes)
        {
            var bytes = new byte[dtype.ByteCount(6L * dtype.BlockLength)];
            new Random(5).NextBytes(bytes);
            using var values = Tensor.FromValues<byte>(dtype, new Shape(3, 2L * dtype.BlockLength), bytes);
            var tensor = values.To(_device);
            using var offloaded = tensor.Offload(_host);
            tensor.Dispose();
            Assert.Equal(0, _device.LiveAllocations);
            Assert.True(((HostMemory)offloaded.Memory).IsPageLocked);
            Assert.Equal((dtype, values.Shape, true), (offloaded.DType, offloaded.Shape, offloaded.IsContiguous));
            Assert.Same(_host, offloaded.Device);
            Assert.Equal(bytes, offloaded.AsSpan<byte>().ToArray());
            using var back = offloaded.To(_device);
            Assert.Equal(bytes, ProbeDevice.Read(back));
            offloaded.Dispose();
            offloaded.Dispose();
            Assert.Empty(_device.Locked);
        }

        Assert.Equal((0L, 0L), (_host.LiveAllocations, _host.LiveBytes));
    }

    [Fact]
    public void A_view_is_offloaded_as_its_own_elements_and_an_empty_one_as_none()
    {
        using var tensor = Filled(_device);
        using var view = tensor.Narrow(1, 1, 2);
        using var offloaded = view.Offload(_host);
        Assert.Equal((view.DType, view.Shape, 6L), (offloaded.DType, offloaded.Shape, _host.LiveBytes));
        Assert.Equal([1, 2, 5, 6, 9, 10], offloaded.AsSpan<byte>().ToArray());

        using var none = tensor.Narrow(0, 1, 0);
        using var empty = none.Offload(_host);
        Assert.Equal((none.Shape, 0), (empty.Shape, empty.AsSpan<byte>().Length));
    }

    [Fact]
    public void A_group_is_offloaded_once_and_comes_back_to_every_member()
    {
        var group = new DeviceGroup(new ProbeDevice("plain"), _device);
        using var tensor = Filled(group);
        using var offloaded = tensor.Offload(_host);
        Assert.Equal((12L, 1), (_host.LiveBytes, _device.Locks));
        using var back = offloaded.To(group);
        foreach (var member in group.Members)
        {
            using var part = back.On(member);
            Assert.Equal(offloaded.AsSpan<byte>().ToArray(), ProbeDevice.Read(part));
        }
    }

    [Fact]
    public void On_the_host_an_offloaded_tensor_is_a_copy_and_for_a_device_it_is_locked()
    {
        using var onHost = Tensor.FromValues<byte>(DType.U8, new Shape(3, 4), [.. Enumerable.Range(0, 12).Select(i => (byte)i)], _host);
        using (var copy = onHost.Offload())
        {
            Assert.Same(_host, copy.Device);
            Assert.NotSame(onHost.Memory, copy.Memory);
            Assert.False(((HostMemory)copy.Memory).IsPageLocked);
            Assert.Equal(onHost.AsSpan<byte>().ToArray(), copy.AsSpan<byte>().ToArray());
        }

        using (var locked = onHost.ToPageLocked(_device))
        {
            Assert.Same(_host, locked.Device);
            Assert.True(((HostMemory)locked.Memory).IsPageLocked);
            Assert.Equal(onHost.AsSpan<byte>().ToArray(), locked.AsSpan<byte>().ToArray());
        }

        Assert.Equal((1L, 12L), (_host.LiveAllocations, _host.LiveBytes));
        Assert.Throws<ArgumentNullException>(() => onHost.ToPageLocked(null!));
    }

    [Fact]
    public void Neither_a_tensor_without_elements_to_copy_nor_a_disposed_one_is_offloaded()
    {
        using var meta = Tensor.Empty(DType.F32, new Shape(3), MetaDevice.Shared);
        Assert.Throws<ArgumentException>(() => meta.Offload(_host));
        Assert.Throws<ArgumentException>(() => meta.ToPageLocked(_device, _host));
        var tensor = Filled(_device);
        tensor.Dispose();
        Assert.Throws<ObjectDisposedException>(() => tensor.Offload(_host));
        Assert.Equal((0L, 0L, 0), (_host.LiveAllocations, _host.LiveBytes, _device.Locks));
    }

    private static Tensor Filled(Device device)
    {
        using var values = Tensor.FromValues<byte>(DType.U8, new Shape(3, 4), [.. Enumerable.Range(0, 12).Select(i => (byte)i)]);
        return values.To(device);
    }
}
