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
        ByteOffset = checked(ByteOffset + DType.ByteCount(start / UnitsOf(dimension) * Strides[dimension] * DType.BlockLength)),
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

    /// <summary>The tensor that sees these elements.</summary>
    /// <param name="storage">The parameter's storage.</param>
    public Tensor On(Tensor storage) => new(storage.Memory, DType, Shape, Strides, checked(storage.ByteOffset + ByteOffset));

    // Strides count blocks, of which the last dimension has as many as it has whole ones.
    private int UnitsOf(int dimension) => DType.IsBlock && dimension == Shape.Rank - 1 ? DType.BlockLength : 1;
}
