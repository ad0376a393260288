using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Tensors of block dtypes: rows and whole blocks are views, anything else is decoded and then narrowed.</summary>
[Trait("Area", "Devices")]
public abstract class BlockTensorTests(TestDevice kind)
{
    private const int Rows = 5;
    private const int BlocksPerRow = 3;

    // A host of its own, whose allocations nobody else counts.
    private Device Device { get; } = kind == TestDevice.Host ? new HostDevice() : TestDevices.Get(kind);

    public static TheoryData<DType> Types() => [.. DType.All.Where(dtype => dtype.IsBlock)];

    [DeviceTheory]
    [MemberData(nameof(Types))]
    public void Any_range_of_rows_decodes_to_those_rows_of_the_whole(DType dtype)
    {
        using (var tensor = Make(dtype))
        {
            var whole = Decode(tensor, DType.F32);
            for (var start = 0; start <= Rows; start++)
            {
                using var part = tensor.Decode(DType.F32, 0, start, Rows - start);
                Assert.Equal(new Shape(Rows - start, tensor.Shape[1]), part.Shape);
                Assert.Equal(whole[(start * 4 * (int)tensor.Shape[1])..], DeviceBytes.Values(part));
            }
        }

        DeviceBytes.CheckNothingStays(Device);
    }

    [DeviceTheory]
    [MemberData(nameof(Types))]
    public void Any_range_of_columns_decodes_to_those_columns_of_the_whole(DType dtype)
    {
        using (var tensor = Make(dtype))
        {
            var columns = (int)tensor.Shape[1];
            var whole = Decode(tensor, DType.BF16);
            (int Start, int Length)[] ranges =
            [
                (0, columns), (0, 1), (columns - 1, 1), (1, columns - 2), (dtype.BlockLength, dtype.BlockLength),
                (dtype.BlockLength - 1, 2), (dtype.BlockLength / 2, dtype.BlockLength), (5, 2 * dtype.BlockLength), (7, 0),
            ];
            foreach (var (start, length) in ranges)
            {
                using var part = tensor.Decode(DType.BF16, 1, start, length);
                var expected = Enumerable.Range(0, Rows).SelectMany(row => whole.Skip(2 * ((row * columns) + start)).Take(2 * length));
                Assert.Equal(expected.ToArray(), DeviceBytes.Values(part));
            }
        }

        DeviceBytes.CheckNothingStays(Device);
    }

    [DeviceTheory]
    [MemberData(nameof(Types))]
    public void Rows_and_whole_blocks_are_views_that_decode_like_the_whole(DType dtype)
    {
        using var tensor = Make(dtype);
        using var rows = tensor.Narrow(0, 1, 3);
        using var blocks = rows.Narrow(1, dtype.BlockLength, 2 * dtype.BlockLength);
        Assert.Same(tensor.Memory, blocks.Memory);
        var (columns, kept) = ((int)tensor.Shape[1], 2 * dtype.BlockLength);
        var whole = Decode(tensor, DType.F32);
        var expected = Enumerable.Range(1, 3).SelectMany(row => whole.Skip(4 * ((row * columns) + dtype.BlockLength)).Take(4 * kept));
        Assert.Equal(expected.ToArray(), Decode(blocks, DType.F32));
        Assert.Throws<ArgumentException>(() => tensor.Narrow(1, 1, dtype.BlockLength));
    }

    private Tensor Make(DType dtype)
    {
        var shape = new Shape(Rows, BlocksPerRow * dtype.BlockLength);
        var bytes = new byte[dtype.ByteCount(shape.ElementCount)];
        new Random(7).NextBytes(bytes);
        using var host = Tensor.FromValues<byte>(dtype, shape, bytes);
        return host.To(Device);
    }

    // The codec itself, over all the bytes: tensors add views and copies to it.
    private static byte[] Decode(Tensor tensor, DType target)
    {
        var values = new byte[target.ByteCount(tensor.ElementCount)];
        Codecs.Of(tensor.DType).DecodeScalar(DeviceBytes.Values(tensor), values, target);
        return values;
    }
}

[OnDevice(TestDevice.Host)]
public sealed class HostBlockTensorTests() : BlockTensorTests(TestDevice.Host);

[OnDevice(TestDevice.Simulator)]
public sealed class SimulatorBlockTensorTests() : BlockTensorTests(TestDevice.Simulator);

[OnDevice(TestDevice.OpenCL)]
public sealed class OpenCLBlockTensorTests() : BlockTensorTests(TestDevice.OpenCL);

[OnDevice(TestDevice.Cuda)]
public sealed class CudaBlockTensorTests() : BlockTensorTests(TestDevice.Cuda);
