using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Elements of a <see cref="DeviceMemory"/> as a stream needs them: without ownership, checked by the
/// <see cref="Tensor"/> that made it.
/// </summary>
/// <param name="Memory">The memory; the caller keeps it alive until the stream has passed the work.</param>
/// <param name="DType">The element type.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Strides">One stride a dimension, in elements; in blocks for block types.</param>
/// <param name="ByteOffset">Where the first element is, in bytes from the start of the memory.</param>
public readonly record struct StridedView(
    DeviceMemory Memory, DType DType, Shape Shape, ImmutableArray<long> Strides, long ByteOffset)
{
    /// <summary>Whether the elements lie side by side in row-major order.</summary>
    public bool IsContiguous
    {
        get
        {
            if (Shape.ElementCount == 0)
            {
                return true;
            }

            long expected = 1;
            for (var i = Shape.Rank - 1; i >= 0; i--)
            {
                // The last dimension of a block type is counted in blocks, as its stride is.
                var size = i == Shape.Rank - 1 && DType.IsBlock ? Shape[i] / DType.BlockLength : Shape[i];
                if (size != 1 && Strides[i] != expected)
                {
                    return false;
                }

                expected *= size;
            }

            return true;
        }
    }

    /// <summary>Where the last element is.</summary>
    /// <param name="dtype">The element type.</param>
    /// <param name="shape">The dimensions, outermost first; rows of block types are whole blocks.</param>
    /// <param name="strides">One stride a dimension, in elements; in blocks for block types.</param>
    /// <returns>How many elements, or blocks, it lies behind the first; -1 where there are none.</returns>
    /// <exception cref="OverflowException">It is beyond 64 bits.</exception>
    public static long LastElementOf(DType dtype, Shape shape, ImmutableArray<long> strides)
    {
        if (shape.ElementCount == 0)
        {
            return -1;
        }

        long last = 0;
        for (var i = 0; i < shape.Rank; i++)
        {
            var size = i == shape.Rank - 1 && dtype.IsBlock ? shape[i] / dtype.BlockLength : shape[i];
            last = checked(last + ((size - 1) * strides[i]));
        }

        return last;
    }

    /// <summary>Checks that an element's bytes are as many as the dtype has.</summary>
    /// <param name="element">The bytes of one element, or of the smallest group that fills whole bytes.</param>
    internal void CheckElement(ReadOnlySpan<byte> element)
    {
        if (element.Length != DType.BlockSize)
        {
            throw new ArgumentException(
                $"{DType.BlockLength} {(DType.BlockLength == 1 ? "element" : "elements")} of {DType.Name} fill {DType.BlockSize} bytes, "
                + $"and {element.Length} are given.",
                nameof(element));
        }
    }
}
