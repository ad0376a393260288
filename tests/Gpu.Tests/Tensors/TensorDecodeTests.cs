using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Devices")]
public abstract class TensorDecodeTests(TestDevice kind)
{
    // A host of its own, whose allocations nobody else counts.
    private Device Device { get; } = kind == TestDevice.Host ? new HostDevice() : TestDevices.Get(kind);

    [DeviceFact]
    public void Any_part_of_any_dimension_is_what_its_elements_are_alone()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var dtype = random.GetItems(SmallElements.Types, 1)[0];
            var shape = RandomShape(random, dtype);
            using var tensor = Random(Device, dtype, shape, random);
            AssertPart(tensor, shape.Dimensions.ToArray(), 0, RowMajor(shape.Dimensions), random);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(DeviceBytes.Cases(kind)));
        DeviceBytes.CheckNothingStays(Device);
    }

    [DeviceFact]
    public void A_part_of_a_strided_view_of_whole_groups_is_what_its_elements_are_alone()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var dtype = random.GetItems(SmallElements.Types, 1)[0];
            var group = dtype.BlockLength;
            long[] sizes = [random.Next(1, 4), random.Next(1, 5), random.Next(2, 7) * group];
            using var whole = Random(Device, dtype, new Shape(sizes), random);
            using var narrow = whole.Narrow(2, group, sizes[2] - group);
            using var turned = narrow.Transpose(0, 1);
            long[] strides = [sizes[2], sizes[1] * sizes[2], 1];
            AssertPart(turned, [sizes[1], sizes[0], sizes[2] - group], group, strides, random);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(DeviceBytes.Cases(kind)));
        DeviceBytes.CheckNothingStays(Device);
    }

    // Every element of a random part, found by its strides in the memory that the tensor views.
    private static void AssertPart(Tensor tensor, long[] sizes, long first, long[] strides, Random random)
    {
        var dimension = random.Next(sizes.Length);
        var start = random.NextInt64(sizes[dimension] + 1);
        var length = random.NextInt64(sizes[dimension] - start + 1);
        var target = random.GetItems([DType.F32, DType.F64, DType.BF16, DType.F8_E4M3], 1)[0];
        using var part = tensor.Decode(target, dimension - (random.Next(2) == 0 ? sizes.Length : 0), start, length);
        long[] wanted = [.. sizes];
        wanted[dimension] = length;
        Assert.Equal((target, new Shape(wanted), true), (part.DType, part.Shape, part.IsContiguous));

        using var asSingle = part.To(DType.F32, new HostDevice());
        var values = asSingle.AsSpan<float>();
        var bytes = DeviceBytes.Get(tensor.Memory).AsSpan();
        var dtype = tensor.DType;
        for (var i = 0; i < values.Length; i++)
        {
            long element = first;
            long rest = i;
            for (var d = sizes.Length - 1; d >= 0; d--)
            {
                element += ((rest % wanted[d]) + (d == dimension ? start : 0)) * strides[d];
                rest /= wanted[d];
            }

            var group = bytes[(int)(element / dtype.BlockLength * dtype.BlockSize)..];
            Assert.Equal(SmallElements.Single(group, dtype, (int)(element % dtype.BlockLength)), values[i]);
        }
    }

    // Rows of any length; all elements together fill whole groups.
    private static Shape RandomShape(Random random, DType dtype)
    {
        while (true)
        {
            var shape = new Shape([.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => (long)random.Next(random.Next(6) == 0 ? 0 : 1, 14))]);
            if (dtype.FillsBytes(shape.ElementCount))
            {
                return shape;
            }
        }
    }

    private static long[] RowMajor(ReadOnlySpan<long> sizes)
    {
        var strides = new long[sizes.Length];
        long next = 1;
        for (var i = sizes.Length - 1; i >= 0; i--)
        {
            strides[i] = next;
            next *= sizes[i];
        }

        return strides;
    }

    private static Tensor Random(Device device, DType dtype, Shape shape, Random random)
    {
        using var host = Tensor.FromValues<byte>(dtype, shape, DeviceBytes.Random(random.Next(), dtype.ByteCount(shape.ElementCount)));
        return host.To(device);
    }
}

[OnDevice(TestDevice.Host)]
public sealed class HostTensorDecodeTests() : TensorDecodeTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorTensorDecodeTests() : TensorDecodeTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLTensorDecodeTests() : TensorDecodeTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaTensorDecodeTests() : TensorDecodeTests(TestDevice.Cuda);
