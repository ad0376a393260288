using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Elements of a tensor that follow one another in row-major order, whatever its strides are.</summary>
internal static class TensorRange
{
    /// <summary>Copies them side by side to the start of some memory; the stream may do it later.</summary>
    /// <param name="stream">A stream of the tensor's device.</param>
    /// <param name="tensor">The tensor, whose elements are one value each.</param>
    /// <param name="first">The first element: where a block or a byte begins.</param>
    /// <param name="count">How many: whole blocks or bytes.</param>
    /// <param name="destination">Memory of that device, or of the host where the type stays the same.</param>
    /// <param name="target">The type they get, which has no blocks.</param>
    public static void Copy(DeviceStream stream, Tensor tensor, long first, long count, DeviceMemory destination, DType target)
    {
        if (tensor.IsContiguous)
        {
            var shape = new Shape(count);
            stream.Copy(
                new StridedView(tensor.Memory, tensor.DType, shape, [1], tensor.ByteOffset + tensor.DType.ByteCount(first)),
                new StridedView(destination, target, shape, [1], 0));
            return;
        }

        CopyBoxes(stream, tensor, 0, first, count, destination, 0, target);
    }

    // The end of the first row, whole rows as one box, and the beginning of the last: at most two boxes a dimension.
    private static void CopyBoxes(
        DeviceStream stream, Tensor tensor, int dimension, long first, long count, DeviceMemory destination, long offset, DType target)
    {
        var row = 1L;
        for (var i = dimension + 1; i < tensor.Shape.Rank; i++)
        {
            row *= tensor.Shape[i];
        }

        for (var end = first + count; first < end;)
        {
            var (index, skip) = Math.DivRem(first, row);
            var rows = (end - first) / row;
            var taken = skip == 0 && rows > 0 ? rows * row : Math.Min(row - skip, end - first);
            using var box = tensor.Narrow(dimension, index, skip == 0 && rows > 0 ? rows : 1);
            if (taken == box.ElementCount)
            {
                CopyBox(stream, box, destination, offset, target);
            }
            else
            {
                CopyBoxes(stream, box, dimension + 1, skip, taken, destination, offset, target);
            }

            first += taken;
            offset += target.ByteCount(taken);
        }
    }

    private static void CopyBox(DeviceStream stream, Tensor box, DeviceMemory destination, long offset, DType target) =>
        stream.Copy(
            new StridedView(box.Memory, box.DType, box.Shape, box.Strides, box.ByteOffset),
            new StridedView(destination, target, box.Shape, box.Shape.RowMajorStrides(), offset));
}
