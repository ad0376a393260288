using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Reads tensors one element after the other, by nothing but their strides.</summary>
internal static class TensorBytes
{
    /// <summary>The elements of a tensor on the host, a <see cref="LateDevice"/> or a group of them, in row-major order.</summary>
    public static byte[] Read(Tensor tensor)
    {
        if (tensor.Device.Kind == DeviceKind.Group)
        {
            return ReadEach(tensor, Read);
        }

        var (size, shape) = (tensor.DType.BlockSize, tensor.Shape.ToArray());
        var bytes = new byte[tensor.ElementCount * size];
        var index = new long[shape.Length];
        for (var done = 0; done < bytes.Length; done += size)
        {
            var offset = tensor.ByteOffset + (size * index.Zip(tensor.Strides, (i, stride) => i * stride).Sum());
            ReadOnlySpan<byte> element = tensor.Memory is LateMemory late ? late.Bytes.AsSpan((int)offset, size) : ((HostMemory)tensor.Memory).AsReadOnlySpan(offset, size);
            element.CopyTo(bytes.AsSpan(done));
            for (var d = shape.Length - 1; d >= 0 && ++index[d] == shape[d]; d--)
            {
                index[d] = 0;
            }
        }

        return bytes;
    }

    /// <summary>Reads a group's tensor on each member: all have the same bytes.</summary>
    public static byte[] ReadEach(Tensor tensor, Func<Tensor, byte[]> read)
    {
        var all = ((DeviceGroup)tensor.Device).Members.Select(member =>
        {
            using var part = tensor.On(member);
            return read(part);
        }).ToArray();
        Assert.All(all, bytes => Assert.True(all[0].AsSpan().SequenceEqual(bytes), $"{tensor} differs between devices."));
        return all[0];
    }
}
