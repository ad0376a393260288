using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Cuts tensors into pieces of bounded size that follow one another in row-major order.</summary>
internal static class TensorBoxes
{
    /// <summary>The pieces of a tensor: of one that lies side by side runs of bytes, of another boxes, rows of it where they fit.</summary>
    /// <param name="tensor">The tensor; stays the caller's.</param>
    /// <param name="maximumBytes">The most bytes of a piece, at least those of a block.</param>
    /// <returns>Views, to be disposed each.</returns>
    public static IEnumerable<Tensor> Of(Tensor tensor, int maximumBytes) =>
        tensor.IsContiguous ? Runs(tensor, maximumBytes) : Boxes(tensor, 0, maximumBytes);

    private static IEnumerable<Tensor> Runs(Tensor tensor, int maximumBytes)
    {
        for (long done = 0; done < tensor.ByteLength; done += maximumBytes)
        {
            yield return new Tensor(tensor.Memory, DType.U8, new Shape(Math.Min(maximumBytes, tensor.ByteLength - done)), default, tensor.ByteOffset + done);
        }
    }

    private static IEnumerable<Tensor> Boxes(Tensor tensor, int dimension, int maximumBytes)
    {
        if (tensor.ByteLength <= maximumBytes)
        {
            yield return tensor.On(tensor.Device);
            yield break;
        }

        // The outermost dimension that there is something to cut from; what is before it has one index.
        while (tensor.Shape[dimension] == 1)
        {
            dimension++;
        }

        var group = dimension == tensor.Shape.Rank - 1 ? tensor.DType.BlockLength : 1;
        var count = tensor.Shape[dimension] / group;
        var fitting = Math.Max(1, maximumBytes / (tensor.ByteLength / count));
        for (long i = 0; i < count; i += fitting)
        {
            using var part = tensor.Narrow(dimension, i * group, Math.Min(fitting, count - i) * group);
            if (part.ByteLength <= maximumBytes)
            {
                yield return part.On(part.Device);
                continue;
            }

            foreach (var box in Boxes(part, dimension + 1, maximumBytes))
            {
                yield return box;
            }
        }
    }
}
