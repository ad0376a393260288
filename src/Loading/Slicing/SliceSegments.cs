using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// How a slice lies in the storage of its tensor: equal ranges of bytes at one distance from each other, in the order of
/// the slice's own elements. A slice of the outermost dimension is one range. Where the slice begins or ends inside a group of
/// elements that are stored together (a block, a byte of F4), the ranges have those groups whole.
/// </summary>
/// <param name="Count">How many ranges; 0 where the slice has no elements.</param>
/// <param name="FirstByte">Where the first begins, in bytes from the tensor's first element.</param>
/// <param name="ByteLength">The size of each in bytes.</param>
/// <param name="StrideBytes">From the start of one to the start of the next, in bytes.</param>
internal readonly record struct SliceSegments(long Count, long FirstByte, long ByteLength, long StrideBytes)
{
    /// <summary>The elements of each range before those of the slice; 0 unless the slice cuts groups.</summary>
    public long SkippedElements { get; private init; }

    /// <summary>The elements of each range that are the slice's; 0 where that is all of them.</summary>
    public long KeptElements { get; private init; }

    /// <summary>Whether the slice cuts groups, so that only a part of each range is the slice's.</summary>
    public bool CutsGroups => KeptElements > 0;

    /// <summary>Checks that a slice is within its tensor.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    public static void Check(TensorInfo tensor, TensorSlice slice)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)slice.Dimension, (uint)tensor.Shape.Rank, nameof(slice));
        ArgumentOutOfRangeException.ThrowIfNegative(slice.Start, nameof(slice));
        ArgumentOutOfRangeException.ThrowIfNegative(slice.Length, nameof(slice));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(slice.Start, tensor.Shape[slice.Dimension] - slice.Length, nameof(slice));
    }

    /// <summary>Finds the ranges of a slice of a tensor whose elements lie side by side.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="slice">The slice.</param>
    /// <param name="isDecoded">Whether elements are decoded, which is the only way to a part of a group.</param>
    /// <exception cref="ArgumentOutOfRangeException">The slice is not within the tensor.</exception>
    /// <exception cref="UnsupportedCheckpointException">
    /// The slice cuts a block (ggml types) or a byte (F4, F6), and is not decoded, or rows begin inside one.
    /// </exception>
    public static SliceSegments Of(TensorInfo tensor, TensorSlice slice, bool isDecoded)
    {
        Check(tensor, slice);
        var size = tensor.Shape[slice.Dimension];
        if (tensor.ElementCount == 0 || slice.Length == 0)
        {
            return default;
        }

        var dimensions = tensor.Shape.Dimensions;
        long count = 1;
        foreach (var dimension in dimensions[..slice.Dimension])
        {
            count *= dimension;
        }

        // All of these divide the number of elements, which fits.
        var stride = tensor.ElementCount / count;
        var inner = stride / size;
        var (start, length) = (slice.Start * inner, slice.Length * inner);
        var dtype = tensor.DType;
        var rowsAreWhole = count == 1 || dtype.FillsBytes(stride);
        if (!rowsAreWhole || !dtype.FillsBytes(start) || !dtype.FillsBytes(length))
        {
            if (rowsAreWhole && isDecoded)
            {
                return Cut(dtype, count, start, length, stride);
            }

            throw new UnsupportedCheckpointException(
                $"slices within {(dtype.IsBlock ? "blocks" : "bytes")} of {dtype.Name}",
                tensor.File.Path,
                $"{slice.Start} to {slice.Start + slice.Length} of dimension {slice.Dimension} of {tensor.Shape} cuts a group of "
                + $"{dtype.BlockLength} elements of {dtype.Name}, which are stored together; load it in a dtype that it is decoded to, whole, or over fewer ranks.",
                tensor.File.Format,
                tensor.Name);
        }

        return slice.Length == size && length == stride
            ? new SliceSegments(1, 0, tensor.DataByteLength, tensor.DataByteLength)
            : new SliceSegments(count, dtype.ByteCount(start), dtype.ByteCount(length), count > 1 ? dtype.ByteCount(stride) : dtype.ByteCount(length));
    }

    // The whole groups that hold the slice's part of a row; the last group of a tensor may be the end of its storage.
    private static SliceSegments Cut(DType dtype, long count, long start, long length, long stride)
    {
        var group = dtype.BlockLength;
        var first = start / group * group;
        var end = (start + length + group - 1) / group * group;
        var bytes = dtype.ByteCount(end - first);
        return new SliceSegments(count, dtype.ByteCount(first), bytes, count > 1 ? dtype.ByteCount(stride) : bytes)
        {
            SkippedElements = start - first,
            KeptElements = length,
        };
    }
}
