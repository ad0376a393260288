using System.Collections.Immutable;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>What the header of an array says, validated.</summary>
/// <param name="Type">The type as it is spelled.</param>
/// <param name="DType">The type here.</param>
/// <param name="IsFortranOrder">Whether the first dimension is the fastest.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Length">Where the data begins, in bytes from the start of the array.</param>
internal sealed record NpyHeader(NpyType Type, DType DType, bool IsFortranOrder, Shape Shape, int Length)
{
    /// <summary>The size of the data in bytes.</summary>
    public long DataLength => DType.ByteCount(Shape.ElementCount);

    /// <summary>The strides where the elements do not lie in row-major order; default where they do.</summary>
    public ImmutableArray<long> Strides
    {
        get
        {
            // Elements lie as in row-major order where at most one dimension has more than one.
            if (!IsFortranOrder || Shape.ElementCount == 0 || Shape.Count(dimension => dimension > 1) <= 1)
            {
                return default;
            }

            var strides = ImmutableArray.CreateBuilder<long>(Shape.Rank);
            long stride = 1;
            foreach (var dimension in Shape)
            {
                strides.Add(stride);
                stride *= dimension;
            }

            return strides.MoveToImmutable();
        }
    }

    /// <summary>The tensor that the array is.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="file">The file.</param>
    /// <param name="start">Where the array begins in the file's source.</param>
    public TensorInfo Place(string name, CheckpointFile file, long start) => new(name, DType, Shape, file, start + Length, DataLength) { Strides = Strides };

    /// <summary>What is turned round as it is read; null where numbers are little-endian, or single bytes.</summary>
    /// <param name="start">Where the array begins in the file's source.</param>
    public SwappedRange? Swapped(long start)
    {
        var size = DType.Kind == DTypeKind.Complex ? DType.BlockSize / 2 : DType.BlockSize;
        return Type.IsBigEndian && size > 1 ? new SwappedRange(start + Length, DataLength, size, [new SwappedField(0, size)]) : null;
    }
}
