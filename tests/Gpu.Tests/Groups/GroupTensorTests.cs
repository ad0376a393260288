using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class GroupTensorTests
{
    private readonly ProbeDevice _first = new("first");
    private readonly ProbeDevice _second = new("second");
    private readonly HostDevice _host = new();

    private DeviceGroup Probes => field ??= new DeviceGroup(_first, _second);

    private DeviceGroup WithHost => field ??= new DeviceGroup(_host, _first);

    [Fact]
    public void A_member_s_tensor_keeps_its_own_memory_and_nobody_else_s()
    {
        var tensor = Filled(Probes, 3);
        var part = tensor.On(_second);
        Assert.Same(_second, part.Device);
        Assert.Equal((tensor.DType, tensor.Shape, tensor.ByteOffset), (part.DType, part.Shape, part.ByteOffset));
        tensor.Dispose();
        Assert.Equal((0L, 0L, 1L), (Probes.LiveAllocations, _first.LiveAllocations, _second.LiveAllocations));
        Assert.Equal(Bytes(3), ProbeDevice.Read(part));
        part.Dispose();
        part.Dispose();
        Assert.Equal(0, _second.LiveAllocations);

        var other = Filled(Probes, 4);
        other.On(_first).Dispose();
        Assert.Equal((1L, 1L), (Probes.LiveAllocations, _first.LiveAllocations));
        other.Dispose();
        Assert.Equal((0L, 0L), (Probes.LiveBytes, _first.LiveBytes));
    }

    [Fact]
    public void Views_of_a_group_are_the_same_views_of_its_members()
    {
        using var tensor = Filled(WithHost, 5);
        using var columns = tensor.Narrow(1, 1, 2);
        using var turned = columns.Transpose(0, 1);
        using var onHost = turned.On(_host);
        using var onProbe = turned.On(_first);
        using var whole = tensor.On(_host);
        Assert.Same(whole.Memory, onHost.Memory);
        Assert.Equal(turned.Strides, onProbe.Strides);
        using var copy = onHost.To(_host);
        Assert.Equal(Enumerable.Range(0, 2).SelectMany(i => Bytes(5).Chunk(4).Select(row => row[i + 1])), copy.AsSpan<byte>().ToArray());
        Assert.Equal(copy.AsSpan<byte>().ToArray(), ProbeDevice.Read(onProbe));
    }

    [Fact]
    public void A_tensor_is_on_its_own_device_and_on_no_other()
    {
        using var single = Filled(_first, 1);
        using (var same = single.On(_first))
        {
            Assert.Same(single.Memory, same.Memory);
        }

        using var tensor = Filled(Probes, 1);
        using (var same = tensor.On(Probes))
        {
            Assert.Same(tensor.Memory, same.Memory);
        }

        Assert.Throws<ArgumentException>(() => single.On(_second));
        Assert.Throws<ArgumentException>(() => single.On(Probes));
        Assert.Throws<ArgumentException>(() => tensor.On(_host));
        Assert.Throws<ArgumentException>(() => tensor.On(new DeviceGroup(_first, _second)));
        Assert.Throws<ArgumentNullException>(() => tensor.On(null!));
        tensor.Dispose();
        Assert.Throws<ObjectDisposedException>(() => tensor.On(_first));
        Assert.Throws<InvalidOperationException>(() => single.AsSpan<byte>());
    }

    [Fact]
    public void Copies_between_any_groups_and_devices_give_every_member_the_elements()
    {
        var third = new ProbeDevice("third");
        Device[] places = [Probes, WithHost, new DeviceGroup(_second, third), _first, _second, third, _host, HostDevice.Shared];
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var (from, to) = (random.GetItems(places, 1)[0], random.GetItems(places, 1)[0]);
            var dtype = random.GetItems([DType.U8, DType.BF16, DType.F4, DType.Q8_0, DType.Q4_K], 1)[0];
            var shape = new Shape(random.Next(1, 4), random.Next(1, 5) * (long)dtype.BlockLength);
            var bytes = new byte[dtype.ByteCount(shape.ElementCount)];
            random.NextBytes(bytes);
            using var values = Tensor.FromValues<byte>(dtype, shape, bytes);
            using var source = values.To(from);
            using var copy = source.To(to);
            Assert.Same(to, copy.Device);
            foreach (var member in to is DeviceGroup group ? group.Members : [to])
            {
                using var part = copy.On(member);
                Assert.True(bytes.AsSpan().SequenceEqual(part.Device.IsHost ? part.AsSpan<byte>() : ProbeDevice.Read(part)), $"{from} to {to}: {member}");
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
        Assert.All([.. places[..^1], third], place => Assert.Equal((0L, 0L), (place.LiveAllocations, place.LiveBytes)));
        Assert.All([_first, _second, third], probe => Assert.Equal(0, probe.LiveStreams));
    }

    [Fact]
    public void A_copy_to_the_host_is_made_once_and_from_its_own_share_where_it_has_one()
    {
        using (var tensor = Filled(Probes, 1))
        {
            var before = _first.Copies + _second.Copies;
            tensor.To(_host).Dispose();
            Assert.Equal(before + 1, _first.Copies + _second.Copies);
        }

        using (var tensor = Filled(WithHost, 1))
        {
            var before = _first.Copies;
            tensor.To(HostDevice.Shared).Dispose();
            Assert.Equal(before, _first.Copies);
        }
    }

    [Fact]
    public void Conversions_and_parts_inside_blocks_are_made_on_every_member()
    {
        var stored = new byte[DType.Q8_0.ByteCount(128)];
        new Random(3).NextBytes(stored);
        using var onHost = Tensor.FromValues<byte>(DType.Q8_0, new Shape(2, 64), stored);
        using var tensor = onHost.To(WithHost);
        using var floats = tensor.To(DType.F32);
        using var expected = onHost.To(DType.F32);
        using var part = tensor.Decode(DType.F32, 1, 5, 40);
        using var expectedPart = expected.Narrow(1, 5, 40);
        using var contiguousPart = expectedPart.To(DType.F32);
        foreach (var member in WithHost.Members)
        {
            using var all = floats.On(member);
            using var some = part.On(member);
            Assert.Equal(expected.AsSpan<byte>().ToArray(), member.IsHost ? all.AsSpan<byte>().ToArray() : ProbeDevice.Read(all));
            Assert.Equal(contiguousPart.AsSpan<byte>().ToArray(), member.IsHost ? some.AsSpan<byte>().ToArray() : ProbeDevice.Read(some));
        }
    }

    private static byte[] Bytes(int seed)
    {
        var bytes = new byte[12];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static Tensor Filled(Device device, int seed)
    {
        using var values = Tensor.FromValues<byte>(DType.U8, new Shape(3, 4), Bytes(seed));
        return values.To(device);
    }
}
