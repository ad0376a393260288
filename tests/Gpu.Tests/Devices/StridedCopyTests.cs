using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Copies between any strides, within a device and between it and the host, with and without conversion.</summary>
[Trait("Area", "Devices")]
public abstract class StridedCopyTests(TestDevice kind)
{
    private static readonly DType[] Kept =
    [
        DType.U8, DType.BF16, DType.F32, DType.I64, DType.C128, DType.F4, DType.F6_E2M3, DType.F6_E3M2, DType.Q4_0, DType.Q8_0, DType.Q6_K,
    ];

    private static readonly DType[] Floats = [DType.F64, DType.F32, DType.F16, DType.BF16];

    // A host of its own, whose allocations nobody else counts.
    private Device Device { get; } = kind == TestDevice.Host ? new HostDevice() : TestDevices.Get(kind);

    [DeviceFact]
    public void A_copy_between_any_strides_moves_each_unit_and_touches_nothing_else() => ForAll(random =>
    {
        var dtype = random.GetItems(Kept, 1)[0];
        var sizes = Sizes(random, dtype.BlockLength == 1 ? 0 : 1);
        var from = StridedCase.Random(random, dtype, sizes, mayRepeat: true).Moved(random);
        var to = StridedCase.Random(random, dtype, sizes, mayRepeat: false).Moved(random);
        var source = Filled(random, from.MemoryBytes);
        var before = Filled(random, to.MemoryBytes);
        var expected = before.ToArray();
        foreach (var (read, write) in from.Offsets().Zip(to.Offsets()))
        {
            source.AsSpan((int)read, dtype.BlockSize).CopyTo(expected.AsSpan((int)write));
        }

        Check(random, from, source, to, before, expected);
    });

    [DeviceFact]
    public void A_copy_between_any_strides_converts_each_element() => ForAll(random =>
    {
        var (stored, wanted) = (random.GetItems(Floats, 1)[0], random.GetItems(Floats, 1)[0]);
        // Sometimes more than the host gathers at a time.
        var sizes = random.Next(10) == 0 ? [2, 1500 + random.Next(3000)] : Sizes(random, 0);
        var from = StridedCase.Random(random, stored, sizes, mayRepeat: true);
        var to = StridedCase.Random(random, wanted, sizes, mayRepeat: false);
        var source = Filled(random, from.MemoryBytes);
        var before = Filled(random, to.MemoryBytes);
        var expected = before.ToArray();
        // Quarters up to 16 are exact in all of these types.
        foreach (var offset in from.Offsets())
        {
            Write(source.AsSpan((int)offset, stored.BlockSize), stored, random.Next(-64, 65) / 4.0);
        }

        foreach (var (read, write) in from.Offsets().Zip(to.Offsets()))
        {
            Write(expected.AsSpan((int)write, wanted.BlockSize), wanted, Read(source.AsSpan((int)read, stored.BlockSize), stored));
        }

        Check(random, from, source, to, before, expected);
    });

    [DeviceFact]
    public void A_copy_of_strided_sub_byte_rows_converts_each_element() => ForAll(random =>
    {
        var (stored, wanted) = (random.GetItems(SmallElements.Types, 1)[0], random.GetItems(Floats, 1)[0]);
        // Sometimes more than the host gathers at a time.
        var sizes = random.Next(10) == 0 ? [2, 700 + random.Next(1000)] : Sizes(random, 1);
        var from = StridedCase.Random(random, stored, sizes, mayRepeat: true);
        long[] elements = [.. sizes[..^1], sizes[^1] * stored.BlockLength];
        var to = StridedCase.Random(random, wanted, elements, mayRepeat: false);
        var source = Filled(random, from.MemoryBytes);
        var before = Filled(random, to.MemoryBytes);
        var expected = before.ToArray();
        var reads = from.Offsets().ToArray();
        foreach (var (index, write) in to.Offsets().Index())
        {
            var group = source.AsSpan((int)reads[index / stored.BlockLength], stored.BlockSize);
            Write(expected.AsSpan((int)write, wanted.BlockSize), wanted, SmallElements.Single(group, stored, index % stored.BlockLength));
        }

        Check(random, from, source, to, before, expected);
    });

    [DeviceFact]
    public void Rows_that_end_inside_a_byte_convert_into_a_contiguous_tensor_only()
    {
        using var host = Tensor.FromValues<byte>(DType.F4, new Shape(2, 3), [0x21, 0x43, 0x65]);
        using var source = host.To(Device);
        using var whole = source.To(DType.F32);
        using var values = whole.To(new HostDevice());
        Assert.Equal([0.5f, 1, 1.5f, 2, 3, 4], values.AsSpan<float>().ToArray());
        using var wide = Tensor.Empty(DType.F32, new Shape(2, 4), Device);
        using var strided = wide.Narrow(1, 0, 3);
        var error = Assert.Throws<ArgumentException>(() => strided.CopyFrom(source));
        Assert.Contains("inside a byte", error.Message, StringComparison.Ordinal);
    }

    [DeviceFact]
    public void One_element_is_copied_whatever_the_dimensions()
    {
        using var host = Tensor.FromValues<float>(DType.F32, Shape.Scalar, [2.5f]);
        using var scalar = host.To(Device);
        using var deep = Tensor.Empty(DType.F64, new Shape(1, 1, 1), Device);
        deep.CopyFrom(scalar);
        using var back = Tensor.FromValues<double>(DType.F64, new Shape(1), [0]);
        back.CopyFrom(deep);
        Assert.Equal([2.5], back.AsSpan<double>().ToArray());
        deep.CopyFrom(host);
        Assert.Equal(BitConverter.GetBytes(2.5), DeviceBytes.Values(deep));
    }

    [DeviceTheory]
    [InlineData(DType.F32, DType.I32)]
    [InlineData(DType.C64, DType.F32)]
    [InlineData(DType.F32, DType.C64)]
    [InlineData(DType.F32, DType.Q4_0)]
    public void Where_there_is_no_conversion_that_is_said(DType stored, DType wanted)
    {
        using var source = Tensor.Empty(stored, new Shape(32), Device);
        var error = Assert.Throws<ArgumentException>(() => source.To(wanted));
        Assert.Contains($"from {stored.Name} to {wanted.Name}", error.Message, StringComparison.Ordinal);
    }

    // Within the device, to it from the host, or from it to the host.
    private void Check(Random random, StridedCase from, byte[] source, StridedCase to, byte[] before, byte[] expected)
    {
        var way = random.Next(3);
        var host = new HostDevice();
        using (var sourceMemory = DeviceBytes.Put(way == 1 ? host : Device, source))
        using (var targetMemory = DeviceBytes.Put(way == 2 ? host : Device, before))
        using (var sourceTensor = from.Over(sourceMemory))
        using (var targetTensor = to.Over(targetMemory))
        {
            targetTensor.CopyFrom(sourceTensor);
            Assert.True(
                expected.AsSpan().SequenceEqual(DeviceBytes.Get(targetMemory)), $"{from} on {sourceMemory.Device} -> {to} on {targetMemory.Device}");
            Assert.True(source.AsSpan().SequenceEqual(DeviceBytes.Get(sourceMemory)), "the source was written");
        }

        DeviceBytes.CheckNothingStays(host);
    }

    private void ForAll(Action<Random> check)
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed => check(new Random(seed)))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(DeviceBytes.Cases(kind)));
        DeviceBytes.CheckNothingStays(Device);
    }

    private static long[] Sizes(Random random, int leastRank) =>
        [.. Enumerable.Range(0, leastRank + random.Next(5 - leastRank)).Select(_ => random.Next(20) == 0 ? 0L : random.Next(1, 5))];

    private static byte[] Filled(Random random, long length) => DeviceBytes.Random(random.Next(), length);

    private static double Read(ReadOnlySpan<byte> bytes, DType dtype) => dtype switch
    {
        DType.F64 => MemoryMarshal.Read<double>(bytes),
        DType.F32 => MemoryMarshal.Read<float>(bytes),
        DType.F16 => (double)MemoryMarshal.Read<Half>(bytes),
        _ => BitConverter.Int32BitsToSingle(MemoryMarshal.Read<ushort>(bytes) << 16),
    };

    private static void Write(Span<byte> bytes, DType dtype, double value)
    {
        switch (dtype)
        {
            case DType.F64:
                MemoryMarshal.Write(bytes, value);
                break;
            case DType.F32:
                MemoryMarshal.Write(bytes, (float)value);
                break;
            case DType.F16:
                MemoryMarshal.Write(bytes, (Half)value);
                break;
            default:
                MemoryMarshal.Write(bytes, (ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16));
                break;
        }
    }
}

[OnDevice(TestDevice.Host)]
public sealed class HostStridedCopyTests() : StridedCopyTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorStridedCopyTests() : StridedCopyTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLStridedCopyTests() : StridedCopyTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaStridedCopyTests() : StridedCopyTests(TestDevice.Cuda);
