using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Elements of a parameter as strides see them, wherever its storage will be. Immutable.</summary>
/// <param name="Parameter">The parameter's index in the plan.</param>
/// <param name="DType">The parameter's dtype.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Strides">One stride a dimension: in elements, or in blocks for block types.</param>
/// <param name="ByteOffset">The first element, in bytes from the parameter's start.</param>
internal sealed record ParameterPlace(int Parameter, DType DType, Shape Shape, ImmutableArray<long> Strides, long ByteOffset)
{
    /// <summary>What a recorded write has as its destination.</summary>
    public static ParameterPlace Of(int parameter, StridedView view) => new(parameter, view.DType, view.Shape, view.Strides, view.ByteOffset);

    /// <summary>A part of one dimension; of a block type's last one, whole blocks.</summary>
    public ParameterPlace Narrow(int dimension, long start, long length) => this with
    {
        Shape = Shape.With(dimension, length),
        // Strides of block types count blocks, those of F4 and F6 elements as they are.
        ByteOffset = checked(ByteOffset + DType.ByteCount(start / UnitsOf(dimension) * Strides[dimension] * (DType.IsBlock ? DType.BlockLength : 1))),
    };

    /// <summary>Whether elements that come in the order of these dimensions, from the outermost to the innermost, lie side by side here.</summary>
    /// <param name="order">The dimensions that have more than one index.</param>
    public bool IsContiguousIn(ImmutableArray<int> order)
    {
        long expected = 1;
        foreach (var dimension in order.Reverse())
        {
            if (Strides[dimension] != expected)
            {
                return false;
            }

            expected *= Shape[dimension] / UnitsOf(dimension);
        }

        return expected * (DType.IsBlock ? DType.BlockLength : 1) == Shape.ElementCount;
    }

    /// <summary>How many ranges <see cref="Ranges"/> has.</summary>
    public long RangeCount => Shape.ElementCount / UnitsOf(Shape.Rank - 1) / InnermostRange;

    /// <summary>The elements (or blocks) as ranges of the parameter's, in ascending order.</summary>
    public (long Start, long End)[] Ranges()
    {
        var length = InnermostRange;
        var ranges = new (long Start, long End)[RangeCount];
        var index = new long[Shape.Rank];
        var inner = Shape.Rank > 0 && length > 1 ? Shape.Rank - 1 : Shape.Rank;
        var first = ByteOffset / DType.BlockSize * (DType.IsBlock ? 1 : DType.BlockLength);
        for (var i = 0; i < ranges.Length; i++)
        {
            var start = first;
            for (var dimension = 0; dimension < inner; dimension++)
            {
                start += index[dimension] * Strides[dimension];
            }

            ranges[i] = (start, start + length);
            for (var dimension = inner - 1; dimension >= 0 && ++index[dimension] == Shape[dimension] / UnitsOf(dimension); dimension--)
            {
                index[dimension] = 0;
            }
        }

        Array.Sort(ranges);
        return ranges;
    }

    // The elements or blocks side by side in the last dimension; 1 where they lie apart.
    private long InnermostRange => Shape.Rank > 0 && Strides[^1] == 1 ? Math.Max(1, Shape[^1] / UnitsOf(Shape.Rank - 1)) : 1;

    /// <summary>The tensor that sees these elements.</summary>
    /// <param name="storage">The parameter's storage.</param>
    public Tensor On(Tensor storage) => new(storage.Memory, DType, Shape, Strides, checked(storage.ByteOffset + ByteOffset));

    // Strides count blocks, of which the last dimension has as many as it has whole ones.
    private int UnitsOf(int dimension) => DType.IsBlock && dimension == Shape.Rank - 1 ? DType.BlockLength : 1;
}
