using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Filling tensors in place, the same on every device.</summary>
[Trait("Area", "Devices")]
public abstract class TensorFillTests(TestDevice kind)
{
    private static readonly DType[] Types =
    [
        DType.U8, DType.BF16, DType.F32, DType.I64, DType.C128, DType.F4, DType.F6_E2M3, DType.Q4_0, DType.Q6_K, DType.MXFP4,
    ];

    public static TheoryData<DType> Blocks() => [.. DType.All.Where(dtype => dtype.IsBlock)];

    public static TheoryData<DType> Targets() => [.. Codecs.Targets];

    // A host of its own, whose allocations nobody else counts.
    private Device Device { get; } = kind == TestDevice.Host ? new HostDevice() : TestDevices.Get(kind);

    [DeviceFact]
    public void A_fill_of_any_strides_sets_each_unit_and_touches_nothing_else()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var dtype = random.GetItems(Types, 1)[0];
            var leastRank = dtype.BlockLength == 1 ? 0 : 1;
            long[] sizes = [.. Enumerable.Range(0, leastRank + random.Next(5 - leastRank)).Select(_ => random.Next(20) == 0 ? 0L : random.Next(1, 5))];
            if (sizes.Length > 0 && random.Next(4) == 0)
            {
                sizes[^1] *= random.Next(300);
            }

            var place = StridedCase.Random(random, dtype, sizes, mayRepeat: true).Moved(random);
            // Often bytes that repeat, which devices fill in wider words.
            var element = random.Next(2) == 0 ? DeviceBytes.Random(seed, dtype.BlockSize) : [.. Enumerable.Repeat((byte)seed, dtype.BlockSize)];
            var expected = DeviceBytes.Random(seed, place.MemoryBytes);
            using var memory = DeviceBytes.Put(Device, expected);
            foreach (var offset in place.Offsets())
            {
                element.CopyTo(expected.AsSpan((int)offset));
            }

            using var tensor = place.Over(memory);
            tensor.Fill(element);
            Assert.True(expected.AsSpan().SequenceEqual(DeviceBytes.Get(memory)), $"{place}");
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(DeviceBytes.Cases(kind)));
        CheckNothingStays();
    }

    // The bytes as they lie in memory. 0.1 is 0x3FB999999999999A; its F32 0x3DCCCCCD, F16 0x2E66, BF16 0x3DCD.
    [DeviceTheory]
    [InlineData(DType.F64, 0.1, "9A9999999999B93F")]
    [InlineData(DType.F32, 0.1, "CDCCCC3D")]
    [InlineData(DType.F16, 0.1, "662E")]
    [InlineData(DType.BF16, 0.1, "CD3D")]
    [InlineData(DType.F16, 65520, "007C")]
    [InlineData(DType.F8_E4M3, 448, "7E")]
    [InlineData(DType.F8_E5M2, -1, "BC")]
    [InlineData(DType.F8_E4M3FNUZ, 1, "40")]
    [InlineData(DType.F8_E5M2FNUZ, -0.0, "00")]
    [InlineData(DType.F8_E8M0, 0.5, "7E")]
    [InlineData(DType.F8_E8M0, double.NaN, "FF")]
    [InlineData(DType.F4, 6, "77")]
    [InlineData(DType.F6_E2M3, 1, "088220")]
    [InlineData(DType.F6_E3M2, 0, "000000")]
    [InlineData(DType.BOOL, 0, "00")]
    [InlineData(DType.BOOL, -0.5, "01")]
    [InlineData(DType.BOOL, double.NaN, "01")]
    [InlineData(DType.I8, -128.9, "80")]
    [InlineData(DType.U8, 255.9, "FF")]
    [InlineData(DType.I16, -2, "FEFF")]
    [InlineData(DType.U16, 65535, "FFFF")]
    [InlineData(DType.I32, -2147483648.0, "00000080")]
    [InlineData(DType.U32, 4294967295.0, "FFFFFFFF")]
    [InlineData(DType.I64, -9223372036854775808.0, "0000000000000080")]
    [InlineData(DType.U64, 9223372036854775808.0, "0000000000000080")]
    [InlineData(DType.C32, 1, "003C0000")]
    [InlineData(DType.C64, -2, "000000C000000000")]
    [InlineData(DType.C128, 0.1, "9A9999999999B93F0000000000000000")]
    public void A_value_is_converted_to_the_elements_type(DType dtype, double value, string element)
    {
        using var tensor = Tensor.Empty(dtype, new Shape(3, 4), Device);
        tensor.Fill(value);
        var groups = 12 / dtype.BlockLength;
        Assert.Equal(string.Concat(Enumerable.Repeat(element, groups)), Convert.ToHexString(DeviceBytes.Values(tensor)));
    }

    [DeviceTheory]
    [MemberData(nameof(Blocks))]
    public void Blocks_filled_with_zero_decode_to_zeros_and_refuse_other_values(DType dtype)
    {
        using var tensor = Tensor.Empty(dtype, new Shape(2, 3 * dtype.BlockLength), Device);
        tensor.Fill(0);
        using var host = tensor.To(HostDevice.Shared);
        using var values = host.To(DType.F32);
        Assert.All(values.AsSpan<float>().ToArray(), value => Assert.Equal(0, value));
        Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Fill(1));
    }

    [DeviceTheory]
    [InlineData(DType.I8, 128)]
    [InlineData(DType.U8, -1)]
    [InlineData(DType.U32, 4294967296.0)]
    [InlineData(DType.I64, 9223372036854775808.0)]
    [InlineData(DType.U64, double.PositiveInfinity)]
    [InlineData(DType.I32, double.NaN)]
    [InlineData(DType.F4, 0.25)]
    [InlineData(DType.F6_E3M2, 29)]
    [InlineData(DType.F8_E8M0, 0)]
    public void A_value_that_the_type_does_not_hold_is_refused(DType dtype, double value)
    {
        using var tensor = Tensor.Empty(dtype, new Shape(4), Device);
        tensor.Fill(new byte[dtype.BlockSize]);
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Fill(value));
        Assert.Contains(dtype.Name, error.Message, StringComparison.Ordinal);
        Assert.All(DeviceBytes.Values(tensor), written => Assert.Equal(0, written));
    }

    [DeviceTheory]
    [InlineData(DType.F32, 3, "1 element of F32 fill 4 bytes")]
    [InlineData(DType.F6_E2M3, 1, "4 elements of F6_E2M3 fill 3 bytes")]
    [InlineData(DType.Q4_0, 0, "32 elements of Q4_0 fill 18 bytes")]
    public void An_element_of_another_length_is_refused(DType dtype, int length, string expected)
    {
        using var tensor = Tensor.Empty(dtype, new Shape(dtype.BlockLength), Device);
        var error = Assert.Throws<ArgumentException>(() => tensor.Fill(new byte[length]));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [DeviceTheory]
    [MemberData(nameof(Targets))]
    public void Random_values_are_those_of_the_formula_rounded_to_the_type(DType dtype)
    {
        foreach (var (count, seed) in (IEnumerable<(int, ulong)>)[(1, 5), (2, ulong.MaxValue), (257, 0), (1003, 77)])
        {
            var singles = Enumerable.Range(0, count).Select(i => UniformOracle.Value(seed, i, 0.1f, 0.7f)).ToArray();
            var expected = new byte[dtype.ByteCount(count)];
            Codecs.Of(DType.F32).DecodeScalar(MemoryMarshal.AsBytes(singles.AsSpan()), expected, dtype);
            using var tensor = Tensor.Empty(dtype, new Shape(count), Device);
            tensor.FillUniform(seed, 0.1f, 0.7f);
            Assert.Equal(expected, DeviceBytes.Values(tensor));
        }

        CheckNothingStays();
    }

    [DeviceTheory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F8_E5M2)]
    public void A_stream_fills_any_range_with_the_values_of_its_elements(DType dtype)
    {
        var whole = new byte[dtype.ByteCount(200)];
        RandomFill.Uniform(whole, dtype, 1L << 33, 9, -1, 1);
        using var memory = DeviceBytes.Put(Device, new byte[300 * dtype.BlockSize]);
        using var stream = Device.CreateStream();
        for (var first = 0; first < 9; first++)
        {
            var expected = new byte[memory.Length];
            var (count, offset) = (7 * first, (3 + first) * dtype.BlockSize);
            whole.AsSpan(first * dtype.BlockSize, count * dtype.BlockSize).CopyTo(expected.AsSpan(offset));
            stream.Fill(new StridedView(memory, DType.U8, new Shape(memory.Length), [1], 0), [0]);
            stream.FillUniform(memory, offset, dtype, (1L << 33) + first, count, 9, -1, 1);
            stream.Synchronize();
            Assert.Equal(expected, DeviceBytes.Get(memory));
        }

        Assert.ThrowsAny<ArgumentException>(() => stream.FillUniform(memory, 8, dtype, 0, 300, 9, -1, 1));
        Assert.ThrowsAny<ArgumentException>(() => stream.FillUniform(memory, 0, DType.I32, 0, 1, 9, -1, 1));
    }

    [DeviceFact]
    public void A_random_fill_follows_row_major_order_whatever_the_strides()
    {
        using (var tensor = Tensor.Empty(DType.F32, new Shape(5, 7), Device))
        using (var turned = tensor.Transpose(0, 1))
        using (var part = turned.Narrow(1, 1, 3))
        {
            tensor.Fill(2);
            part.FillUniform(3, -1, 1);
            var values = MemoryMarshal.Cast<byte, float>(DeviceBytes.Values(tensor)).ToArray();
            for (var i = 0; i < 35; i++)
            {
                var (row, column) = (i / 7, i % 7);
                Assert.Equal(row is >= 1 and < 4 ? UniformOracle.Value(3, (column * 3) + row - 1, -1, 1) : 2, values[i]);
            }
        }

        CheckNothingStays();
    }

    [DeviceFact]
    public void Random_values_for_other_types_bad_bounds_and_shared_places_are_refused()
    {
        using var integers = Tensor.Empty(DType.I32, new Shape(4), Device);
        Assert.Throws<ArgumentException>(() => integers.FillUniform(0, 0, 1));
        using var floats = Tensor.Empty(DType.F32, new Shape(4), Device);
        Assert.Throws<ArgumentOutOfRangeException>(() => floats.FillUniform(0, 1, 0));
        using var repeated = new Tensor(floats.Memory, DType.F32, new Shape(2, 4), [0, 1]);
        var error = Assert.Throws<ArgumentException>(() => repeated.FillUniform(0, 0, 1));
        Assert.Contains("share places", error.Message, StringComparison.Ordinal);
    }

    [DeviceTheory]
    [InlineData(DType.I16, 2)]
    [InlineData(DType.BF16, 2)]
    [InlineData(DType.F32, 4)]
    [InlineData(DType.U64, 8)]
    [InlineData(DType.C32, 2)]
    [InlineData(DType.C64, 4)]
    [InlineData(DType.C128, 8)]
    [InlineData(DType.U8, 1)]
    [InlineData(DType.BOOL, 1)]
    [InlineData(DType.F8_E4M3, 1)]
    [InlineData(DType.F4, 1)]
    public void Swapping_reverses_the_bytes_of_every_number(DType dtype, int word)
    {
        foreach (var (offset, groups) in (IEnumerable<(int, int)>)[(0, 1), (0, 100), (1, 33), (4, 35), (16, 64), (24, 7), (5, 0)])
        {
            var expected = DeviceBytes.Random(groups, 64 + offset + (groups * dtype.BlockSize));
            using var memory = DeviceBytes.Put(Device, expected);
            using var tensor = new Tensor(memory, dtype, new Shape(groups * dtype.BlockLength), byteOffset: offset);
            tensor.SwapBytes();
            for (var at = offset; at < offset + (groups * dtype.BlockSize); at += word)
            {
                expected.AsSpan(at, word).Reverse();
            }

            Assert.Equal(expected, DeviceBytes.Get(memory));
        }
    }

    [DeviceFact]
    public void Swapping_a_part_swaps_nothing_else()
    {
        var bytes = DeviceBytes.Random(1, 5 * 7 * 4);
        using (var memory = DeviceBytes.Put(Device, bytes))
        using (var tensor = new Tensor(memory, DType.I32, new Shape(5, 7)))
        using (var turned = tensor.Transpose(0, 1))
        using (var part = turned.Narrow(0, 2, 3))
        {
            part.SwapBytes();
            for (var i = 0; i < 35; i++)
            {
                if (i % 7 is >= 2 and < 5)
                {
                    bytes.AsSpan(i * 4, 4).Reverse();
                }
            }

            Assert.Equal(bytes, DeviceBytes.Get(memory));
        }

        CheckNothingStays();
    }

    [DeviceFact]
    public void Swapping_blocks_shared_places_and_ranges_outside_the_memory_is_refused()
    {
        using var blocks = Tensor.Empty(DType.Q8_0, new Shape(32), Device);
        Assert.Throws<ArgumentException>(blocks.SwapBytes);
        using var numbers = Tensor.Empty(DType.I32, new Shape(6), Device);
        using var shared = new Tensor(numbers.Memory, DType.I32, new Shape(3, 3), [1, 1]);
        Assert.Throws<ArgumentException>(shared.SwapBytes);
        using var stream = Device.CreateStream();
        Assert.ThrowsAny<ArgumentException>(() => stream.SwapBytes(numbers.Memory, 4, 6, 4));
        Assert.ThrowsAny<ArgumentException>(() => stream.SwapBytes(numbers.Memory, -4, 1, 4));
        Assert.ThrowsAny<ArgumentException>(() => stream.SwapBytes(numbers.Memory, 0, 1, 3));
        numbers.Dispose();
        Assert.Throws<ObjectDisposedException>(numbers.SwapBytes);
        Assert.Throws<ObjectDisposedException>(() => numbers.Fill(0));
    }

    private void CheckNothingStays() => DeviceBytes.CheckNothingStays(Device);
}

[OnDevice(TestDevice.Host)]
public sealed class HostTensorFillTests() : TensorFillTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorTensorFillTests() : TensorFillTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLTensorFillTests() : TensorFillTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaTensorFillTests() : TensorFillTests(TestDevice.Cuda);
