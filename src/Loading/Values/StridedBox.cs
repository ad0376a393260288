using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Elements of a view that follow one another in row-major order and are all combinations of some ranges of its dimensions.
/// </summary>
/// <param name="Offset">Where the first element lies, in bytes from the start of the file.</param>
/// <param name="Dimensions">The dimensions, outermost first, none of one index; where they go is row-major and without gaps.</param>
internal readonly record struct StridedBox(long Offset, StridedDimension[] Dimensions)
{
    /// <summary>The size of the elements in bytes.</summary>
    /// <param name="unit">The size of one element, or of one block.</param>
    public long ByteLength(int unit)
    {
        long length = unit;
        foreach (var dimension in Dimensions)
        {
            length *= dimension.Size;
        }

        return length;
    }

    /// <summary>The boxes that make a range of row-major order, in order: at most two a dimension.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="first">The first element; of block types, the first block.</param>
    /// <param name="count">How many elements or blocks, within the tensor.</param>
    public static List<StridedBox> Cover(TensorInfo tensor, long first, long count)
    {
        var dimensions = Merge(tensor);
        var boxes = new List<StridedBox>();
        Cover(boxes, dimensions, 0, tensor.DataOffset, first, count, tensor.DType.BlockSize);
        return boxes;
    }

    /// <summary>The dimensions of a view as bytes, without those of one index, neighbours in both orders as one.</summary>
    private static List<(long Size, long Stride)> Merge(TensorInfo tensor)
    {
        var unit = tensor.DType.BlockSize;
        var strides = tensor.Strides.IsDefault ? tensor.Shape.RowMajorStrides() : tensor.Strides;
        var merged = new List<(long Size, long Stride)>();
        for (var i = 0; i < tensor.Shape.Rank; i++)
        {
            var size = i == tensor.Shape.Rank - 1 ? tensor.Shape[i] / tensor.DType.BlockLength : tensor.Shape[i];
            if (size == 1)
            {
                continue;
            }

            var stride = strides[i] * unit;
            if (merged.Count > 0 && merged[^1].Stride == stride * size)
            {
                merged[^1] = (merged[^1].Size * size, stride);
            }
            else
            {
                merged.Add((size, stride));
            }
        }

        return merged;
    }

    private static void Cover(
        List<StridedBox> boxes, List<(long Size, long Stride)> dimensions, int level, long offset, long first, long count, int unit)
    {
        if (level == dimensions.Count)
        {
            boxes.Add(new StridedBox(offset, []));
            return;
        }

        long inner = 1;
        foreach (var (size, _) in dimensions[(level + 1)..])
        {
            inner *= size;
        }

        var stride = dimensions[level].Stride;
        var (index, skipped) = Math.DivRem(first, inner);
        if (skipped > 0)
        {
            var head = Math.Min(count, inner - skipped);
            Cover(boxes, dimensions, level + 1, offset + (index * stride), skipped, head, unit);
            count -= head;
            index++;
        }

        var (whole, rest) = Math.DivRem(count, inner);
        if (whole > 0)
        {
            // A dimension of one index is none: whoever orders the others by stride would take it for one that is read with them.
            boxes.Add(whole == 1 && level + 1 < dimensions.Count
                ? Whole(dimensions, level + 1, offset + (index * stride), dimensions[level + 1].Size, unit)
                : whole == 1 ? new StridedBox(offset + (index * stride), [])
                : Whole(dimensions, level, offset + (index * stride), whole, unit));
        }

        if (rest > 0)
        {
            Cover(boxes, dimensions, level + 1, offset + ((index + whole) * stride), 0, rest, unit);
        }
    }

    private static StridedBox Whole(List<(long Size, long Stride)> dimensions, int level, long offset, long size, int unit)
    {
        var box = new StridedDimension[dimensions.Count - level];
        long to = unit;
        for (var i = box.Length - 1; i >= 0; i--)
        {
            var all = i == 0 ? size : dimensions[level + i].Size;
            box[i] = new StridedDimension(all, dimensions[level + i].Stride, to);
            to *= all;
        }

        return new StridedBox(offset, box);
    }
}
