using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A tensor that a conversion writes: one of the checkpoint, or a rank's share of it, under its own name or another.</summary>
/// <param name="Source">
/// What is read: the tensor in the checkpoint, or the view of it that is the share. Where a share begins or ends inside a group of elements that are stored together (a block, a
/// byte of F4), rows of whole groups.
/// </param>
/// <param name="DType">The dtype it is written with.</param>
internal sealed record OutputTensor(TensorInfo Source, DType DType)
{
    /// <summary>The name it is written under.</summary>
    public string Name { get; init; } = Source.Name;

    /// <summary>Whether it is a share of its tensor.</summary>
    public bool IsSliced { get; private init; }

    /// <summary>Of each row of the source, the elements before those that are written; 0 unless a share cuts groups.</summary>
    public long SkippedElements { get; private init; }

    /// <summary>Of each row of the source, the elements that are written; 0 where that is all of them.</summary>
    public long KeptElements { get; private init; }

    /// <summary>The dimensions as they are written.</summary>
    public Shape Shape { get; private init; } = Source.Shape;

    /// <summary>The size as it is written, in bytes.</summary>
    public long ByteLength => DType.ByteCount(Shape.ElementCount);

    public bool IsConverted => DType != Source.DType;

    /// <summary>A share of a tensor.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="dtype">The dtype that the share is written with.</param>
    /// <param name="slice">The share; null for all of the tensor.</param>
    /// <exception cref="UnsupportedCheckpointException">The share cuts a block or a byte, and is not decoded.</exception>
    public static OutputTensor Of(TensorInfo tensor, DType dtype, TensorSlice? slice)
    {
        if (slice is null || (slice.Start == 0 && slice.Length == tensor.Shape[slice.Dimension]))
        {
            return new OutputTensor(tensor, dtype);
        }

        SliceSegments.Check(tensor, slice);
        var shape = tensor.Shape.With(slice.Dimension, slice.Length);
        if (shape.ElementCount == 0)
        {
            return new OutputTensor(new TensorInfo(tensor.Name, tensor.DType, shape, tensor.File, tensor.DataOffset, 0), dtype) { IsSliced = true };
        }

        if (!tensor.IsContiguous)
        {
            return new OutputTensor(new PlannedTensor(tensor, dtype, shape) { Slice = slice }.Part, dtype) { IsSliced = true };
        }

        // In a file of its own bytes: rows at one distance, of which each has a part.
        var segments = SliceSegments.Of(tensor, slice, isDecoded: dtype != tensor.DType);
        var (block, size) = (tensor.DType.BlockLength, tensor.DType.BlockSize);
        var rows = new TensorInfo(
            tensor.Name,
            tensor.DType,
            new Shape(segments.Count, segments.ByteLength / size * block),
            tensor.File,
            checked(tensor.DataOffset + segments.FirstByte),
            checked(((segments.Count - 1) * segments.StrideBytes) + segments.ByteLength))
        {
            Strides = [segments.StrideBytes / size, 1],
        };
        return new OutputTensor(rows, dtype)
        {
            IsSliced = true,
            Shape = shape,
            SkippedElements = segments.SkippedElements,
            KeptElements = segments.KeptElements,
        };
    }

    /// <summary>How many elements are written of those before a place in the source.</summary>
    /// <param name="element">The place, in elements of the source in row-major order.</param>
    public long WrittenBefore(long element)
    {
        if (KeptElements == 0)
        {
            return element;
        }

        var (row, column) = Math.DivRem(element, Source.Shape[^1]);
        return (row * KeptElements) + Math.Clamp(column - SkippedElements, 0, KeptElements);
    }
}
