using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime.CPU;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Work that one kernel does not do, in parts so small that there are several; and what it leaves behind.</summary>
[Trait("Area", "Devices")]
public sealed class PartedCopyTests : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
    private readonly IlgpuDevice _first;
    private readonly IlgpuDevice _second;

    public PartedCopyTests()
    {
        _first = Open();
        _second = Open();
    }

    private enum Place
    {
        Here,
        There,
        Host,
    }

    public static TheoryData<string, string, DType, DType> Ways()
    {
        var ways = new TheoryData<string, string, DType, DType>();
        foreach (var (from, to) in from one in Enum.GetValues<Place>() from other in Enum.GetValues<Place>() select (one, other))
        {
            ways.Add(from.ToString(), to.ToString(), DType.BF16, DType.BF16);
            ways.Add(from.ToString(), to.ToString(), DType.F16, DType.F32);
            ways.Add(from.ToString(), to.ToString(), DType.Q4_0, DType.BF16);
            ways.Add(from.ToString(), to.ToString(), DType.Q4_0, DType.Q4_0);
        }

        return ways;
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Parts_arrive_from_anywhere_anywhere_without_a_seam(string from, string to, DType stored, DType wanted)
    {
        // Rows narrowed and exchanged on both sides: 7 x 5 x 96 elements, 13 parts.
        var shape = new Shape(8, 6, 128);
        using (var host = Tensor.FromValues<byte>(stored, shape, Numbers(stored, shape)))
        using (var source = host.To(DeviceOf(from)))
        using (var target = Tensor.Empty(wanted, new Shape(5, 7, 128), DeviceOf(to)))
        using (var part = Part(source, 7, 5))
        using (var hostPart = Part(host, 7, 5))
        using (var turned = part.Transpose(0, 1))
        using (var hostTurned = hostPart.Transpose(0, 1))
        using (var place = target.Narrow(2, 0, 96))
        using (var expected = Tensor.Empty(wanted, new Shape(5, 7, 128)))
        using (var expectedPlace = expected.Narrow(2, 0, 96))
        {
            target.Fill(0);
            expected.Fill(0);
            place.CopyFrom(turned);
            // The host's own copy is held against formulas elsewhere.
            expectedPlace.CopyFrom(hostTurned);
            Assert.Equal(expected.AsSpan<byte>().ToArray(), DeviceBytes.Values(target));
        }

        Assert.Equal((0, 0L), (_first.LiveAllocations, _first.LiveBytes));
        Assert.Equal((0, 0L), (_second.LiveAllocations, _second.LiveBytes));
    }

    [Fact]
    public void What_is_written_in_place_in_parts_has_no_seam()
    {
        using (var tensor = Tensor.Empty(DType.BF16, new Shape(40, 33), _first))
        using (var odd = new Tensor(tensor.Memory, DType.BF16, new Shape(1311), byteOffset: 2))
        {
            tensor.Fill(0);
            odd.FillUniform(4, -1, 1);
            var expected = new byte[tensor.ByteLength];
            var singles = Enumerable.Range(0, 1311).Select(i => UniformOracle.Value(4, i, -1, 1)).ToArray();
            Codecs.Of(DType.F32).DecodeScalar(MemoryMarshal.AsBytes(singles.AsSpan()), expected.AsSpan(2, 2 * 1311), DType.BF16);
            Assert.Equal(expected, DeviceBytes.Values(tensor));
        }

        Assert.Equal((0, 0L), (_first.LiveAllocations, _first.LiveBytes));
    }

    [Theory]
    [InlineData(DType.F32, 1000)]
    [InlineData(DType.U8, 7)]
    [InlineData(DType.F4, 6)]
    [InlineData(DType.Q4_K, 512)]
    public void A_whole_tensor_goes_from_one_accelerator_to_another(DType dtype, long elements)
    {
        // Rows of three F4 end inside a byte.
        var shape = dtype == DType.F4 ? new Shape(2, 3) : new Shape(elements);
        using (var host = Tensor.FromValues<byte>(dtype, shape, Numbers(dtype, shape)))
        using (var first = host.To(_first))
        using (var second = first.To(_second))
        {
            Assert.Equal(host.AsSpan<byte>().ToArray(), DeviceBytes.Values(second));
        }

        Assert.Equal((0, 0L), (_first.LiveAllocations, _first.LiveBytes));
        Assert.Equal((0, 0L), (_second.LiveAllocations, _second.LiveBytes));
    }

    [Fact]
    public void A_conversion_into_a_place_between_stores_takes_little_memory_beside_it()
    {
        var shape = new Shape(20_000);
        using var host = Tensor.FromValues<byte>(DType.BF16, shape, Numbers(DType.BF16, shape));
        using var source = host.To(_first);
        using var target = Tensor.Empty(DType.F32, new Shape(20_001), _first);
        using var place = target.Narrow(0, 1, 20_000);
        using var stream = _first.CreateStream();
        var before = _first.LiveBytes;
        stream.Copy(ViewOf(source), ViewOf(place));
        stream.Synchronize();
        Assert.InRange(_first.LiveBytes - before, 0, 2 * 256 * sizeof(float));
        using var expected = host.To(DType.F32);
        using var back = place.To(HostDevice.Shared);
        Assert.Equal(expected.AsSpan<byte>().ToArray(), back.AsSpan<byte>().ToArray());
    }

    [Fact]
    public void An_accelerator_that_was_wrapped_twice_is_no_group() =>
        Assert.Throws<ArgumentException>(() => new DeviceGroup(_first, new IlgpuDevice(_first.Accelerator, null, "simulator:1")));

    [Fact]
    public void A_view_outside_its_memory_is_refused_before_a_kernel_sees_it()
    {
        using var memory = _first.Allocate(64);
        using var stream = _first.CreateStream();
        var inside = new StridedView(memory, DType.F32, new Shape(4, 2), [2, 1], 0);
        foreach (var outside in (ReadOnlySpan<StridedView>)[inside with { ByteOffset = 36 }, inside with { Strides = [5, 1] }, inside with { ByteOffset = -4 }])
        {
            var view = outside;
            var turned = inside with { Strides = [1, 4] };
            Assert.Throws<ArgumentException>(() => stream.Copy(view, turned));
            Assert.Throws<ArgumentException>(() => stream.Copy(turned, view));
            Assert.Throws<ArgumentException>(() => stream.Fill(view, new byte[4]));
        }
    }

    public void Dispose()
    {
        foreach (var device in (ReadOnlySpan<IlgpuDevice>)[_first, _second])
        {
            device.Dispose();
            device.Accelerator.Dispose();
        }

        _context.Dispose();
    }

    private static Tensor Part(Tensor tensor, long first, long second)
    {
        using var rows = tensor.Narrow(0, 1, first);
        using var columns = rows.Narrow(1, 0, second);
        return columns.Narrow(2, 32, 96);
    }

    private static StridedView ViewOf(Tensor tensor) => new(tensor.Memory, tensor.DType, tensor.Shape, tensor.Strides, tensor.ByteOffset);

    private static byte[] Numbers(DType dtype, Shape shape) => DeviceBytes.Random(5, dtype.ByteCount(shape.ElementCount));

    private Device DeviceOf(string place) => Enum.Parse<Place>(place) switch
    {
        Place.Here => _first,
        Place.There => _second,
        _ => HostDevice.Shared,
    };

    private IlgpuDevice Open() => new(_context.CreateCPUAccelerator(0), null, "simulator:0") { PartElements = 256 };
}
