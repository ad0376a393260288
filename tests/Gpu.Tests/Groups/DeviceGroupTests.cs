using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class DeviceGroupTests
{
    [Fact]
    public void A_group_is_as_large_as_its_smallest_member()
    {
        var (a, b, host) = (new ProbeDevice("a") { Free = 700, SlotBytes = 100 }, new ProbeDevice("b") { Free = 300, SlotBytes = 5000 }, new HostDevice());
        var group = new DeviceGroup(a, b);
        Assert.Equal((DeviceKind.Group, false, "a,b", "a,b"), (group.Kind, group.IsHost, group.Id, group.ToString()));
        Assert.Equal("2 devices: probe a; probe b", group.Name);
        Assert.Equal((300L, 600L, 5000), (group.FreeMemory, group.TotalMemory, group.PreferredSlotBytes));
        Assert.Equal<Device>([a, b], group.Members);
        Assert.Equal((300L, host.PreferredSlotBytes), (new DeviceGroup(host, b).FreeMemory, new DeviceGroup(host, b).PreferredSlotBytes));
    }

    [Fact]
    public void What_makes_no_group_is_refused()
    {
        var (a, b) = (new ProbeDevice("a"), new ProbeDevice("b"));
        Device[][] refused =
        [
            [], [a], [a, b, a], [new HostDevice(), a, new HostDevice()], [a, new MetaDevice()], [new DeviceGroup(a, b), new ProbeDevice("c")],
        ];
        foreach (var members in refused)
        {
            Assert.Equal("members", Assert.Throws<ArgumentException>(() => new DeviceGroup(members)).ParamName);
        }

        Assert.Throws<ArgumentNullException>(() => new DeviceGroup(a, null!));
        Assert.Throws<ArgumentNullException>(() => new DeviceGroup((IEnumerable<Device>)null!));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3_000_000)]
    public void Memory_is_on_every_member_until_the_last_reference_goes(long bytes)
    {
        var (a, host) = (new ProbeDevice("a"), new HostDevice());
        var group = new DeviceGroup(a, host);
        var memory = group.Allocate(bytes);
        memory.AddReference();
        memory.Dispose();
        Assert.Same(group, memory.Device);
        Assert.All<Device>([group, a, host], device => Assert.Equal((1L, bytes), (device.LiveAllocations, device.LiveBytes)));

        memory.Populate(0, bytes);
        memory.MarkPopulated();
        Assert.Equal(TimeSpan.Zero, memory.Populate(0, bytes));
        memory.Release();
        Assert.All<Device>([group, a, host], device => Assert.Equal((0L, 0L), (device.LiveAllocations, device.LiveBytes)));
        Assert.Throws<ObjectDisposedException>(memory.Release);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void A_member_that_refuses_leaves_nothing_on_the_others(int refusing)
    {
        ProbeDevice[] members = [new("a"), new("b"), new("c")];
        var group = new DeviceGroup(members);
        members[refusing].RefusesAllocations = true;
        Assert.Equal(members[refusing].Id, Assert.Throws<DeviceMemoryException>(() => group.Allocate(100)).Device);
        Assert.Equal(members[refusing].Id, Assert.Throws<DeviceMemoryException>(() => Tensor.Empty(DType.F32, new Shape(5), group)).Device);
        Assert.All<Device>([group, .. members], device => Assert.Equal((0L, 0L), (device.LiveAllocations, device.LiveBytes)));
        Assert.Throws<ArgumentOutOfRangeException>(() => group.Allocate(-1));
    }

    [Fact]
    public void A_member_that_fails_to_free_does_not_keep_the_others_from_it()
    {
        ProbeDevice[] members = [new("a"), new("b") { FailsToFree = true }, new("c")];
        var group = new DeviceGroup(members);
        Assert.Throws<InvalidOperationException>(group.Allocate(100).Dispose);
        Assert.All<Device>([group, .. members], device => Assert.Equal((0L, 0L), (device.LiveAllocations, device.LiveBytes)));

        // Also when it is freed because another refuses.
        members[2].RefusesAllocations = true;
        Assert.ThrowsAny<Exception>(() => group.Allocate(100));
        Assert.All(members, device => Assert.Equal((0L, 0L), (device.LiveAllocations, device.LiveBytes)));
    }

    [Fact]
    public void Slots_come_from_the_first_member_that_uses_locked_pages_and_else_from_the_first()
    {
        ProbeDevice[] members = [new("a"), new("b") { LocksPages = true }, new("c") { LocksPages = true }];
        using (var pool = new DeviceGroup(members).CreateStagingPool(1000, 2))
        {
            Assert.Equal((1000, 2), (pool.SlotBytes, pool.SlotCount));
        }

        Assert.Equal([0, 1, 0], members.Select(member => member.Pools));
        new DeviceGroup(members[0], new ProbeDevice("d")).CreateStagingPool(10, 1).Dispose();
        Assert.Equal([1, 1, 0], members.Select(member => member.Pools));
    }

    [Fact]
    public void A_stream_that_one_member_refuses_leaves_none()
    {
        ProbeDevice[] members = [new("a"), new("b"), new("c") { RefusesStreams = true }];
        Assert.Throws<InvalidOperationException>(() => new DeviceGroup(members).CreateStream());
        Assert.All(members, member => Assert.Equal(0, member.LiveStreams));

        using (var stream = new DeviceGroup(members[..2]).CreateStream())
        {
            stream.Synchronize();
            Assert.Equal([1, 1], members[..2].Select(member => member.LiveStreams));
            Assert.Equal([1, 1], members[..2].Select(member => member.Synchronisations));
        }

        Assert.All(members, member => Assert.Equal(0, member.LiveStreams));
    }

    [Fact]
    public void What_is_placed_is_on_every_member()
    {
        var (a, host) = (new ProbeDevice("a"), new HostDevice());
        var group = new DeviceGroup(host, a);
        Half[] halves = [(Half)1.5f, (Half)(-2f), (Half)1e-7f, Half.NaN];
        var stored = System.Runtime.InteropServices.MemoryMarshal.AsBytes(halves.AsSpan());
        using var tensor = Tensor.Empty(DType.F32, new Shape(6), group);
        using (var stream = group.CreateStream())
        {
            Assert.Same(group, stream.Device);
            stream.Place(stored, DType.F16, tensor.Memory, 0, DType.F32);
            stream.PlacePart(stored, DType.F16, 1, 2, tensor.Memory, 16, DType.F32);
            Assert.Throws<ArgumentException>(() => stream.Place([1], DType.U8, host.Allocate(1), 0, DType.U8));
        }

        float[] expected = [1.5f, -2f, (float)(Half)1e-7f, BitConverter.UInt32BitsToSingle(0xFFC00000), -2f, (float)(Half)1e-7f];
        var bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes(expected.AsSpan()).ToArray();
        using var onHost = tensor.On(host);
        using var onProbe = tensor.On(a);
        Assert.Equal(bytes, onHost.AsSpan<byte>().ToArray());
        Assert.Equal(bytes, ProbeDevice.Read(onProbe));
    }

    [Fact]
    public void Every_member_prepares_the_conversions()
    {
        var (a, b) = (new ProbeDevice("a"), new ProbeDevice("b"));
        (DType, DType)[] conversions = [(DType.Q4_K, DType.BF16), (DType.BF16, DType.F32)];
        // A sequence that can be asked once.
        var once = new Queue<(DType, DType)>(conversions);
        new DeviceGroup(a, b).Prepare(Enumerable.Range(0, 2).Select(_ => once.Dequeue()));
        Assert.Equal(conversions, a.Prepared);
        Assert.Equal(conversions, b.Prepared);
    }

    [Fact]
    public void Every_member_prepares_the_sums()
    {
        var (a, b) = (new ProbeDevice("a"), new ProbeDevice("b"));
        var once = new Queue<DType>([DType.F32, DType.F64]);
        new DeviceGroup(a, b).PrepareSummaries(Enumerable.Range(0, 2).Select(_ => once.Dequeue()));
        Assert.Equal([DType.F32, DType.F64], a.PreparedSummaries);
        Assert.Equal([DType.F32, DType.F64], b.PreparedSummaries);
    }

    [Fact]
    public async Task A_fence_passes_when_every_member_has()
    {
        var (a, b) = (new ProbeDevice("a") { HasPassed = false }, new ProbeDevice("b") { HasPassed = false });
        using var stream = new DeviceGroup(a, b).CreateStream();
        var fence = stream.Record();
        Assert.False(fence.HasPassed);
        a.HasPassed = true;
        Assert.False(fence.HasPassed);
        (a.HasPassed, b.HasPassed) = (false, true);
        Assert.False(fence.HasPassed);
        await fence.WaitAsync();
        Assert.True(a.HasPassed && b.HasPassed && fence.HasPassed);

        (b.HasPassed, b.FenceFailure) = (false, new IOException("lost"));
        await Assert.ThrowsAsync<IOException>(async () => await fence.WaitAsync());
        await Assert.ThrowsAsync<OperationCanceledException>(async () => await fence.WaitAsync(new CancellationToken(true)));
    }
}
