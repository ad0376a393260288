using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A scale, and perhaps a zero point, for each block of so many rows and columns: value = (stored - zero point) * scale. The last blocks of either dimension may be smaller. Scales of
/// rows (channels) and of the whole tensor are blocks of another size. The scales have shape [ceil(rows / block), ceil(columns / block)], or, where that is one row or column, any shape with
/// as many elements.
/// </summary>
/// <remarks>
/// DeepSeek's <c>weight_scale_inv</c>: blocks of 128 by 128, multiplied in spite of the name. A NaN that is stored stays with its sign; a scale that is NaN becomes quiet; infinity
/// times zero is FFC00000.
/// </remarks>
public sealed record BlockScaledScheme : QuantizationScheme
{
    /// <summary>Makes the scheme.</summary>
    /// <param name="blockRows">The rows of a block; as many as there are, or more, for one scale for all rows.</param>
    /// <param name="blockColumns">The columns of a block.</param>
    /// <exception cref="ArgumentOutOfRangeException">A block has less than one row or column.</exception>
    public BlockScaledScheme(long blockRows, long blockColumns)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blockRows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blockColumns);
        (BlockRows, BlockColumns) = (blockRows, blockColumns);
    }

    /// <summary>One scale for the whole tensor.</summary>
    public static BlockScaledScheme PerTensor { get; } = new(long.MaxValue, long.MaxValue);

    /// <summary>One scale for each row.</summary>
    public static BlockScaledScheme PerRow { get; } = new(1, long.MaxValue);

    /// <summary>The stored types: floats of 8 bits and I8, and those that are scaled to become F8_E4M3.</summary>
    public static ImmutableArray<DType> Stored { get; } =
        [DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ, DType.I8, DType.BF16, DType.F16, DType.F32];

    /// <summary>The types that values are given in.</summary>
    public static ImmutableArray<DType> Targets { get; } = [DType.F32, DType.F16, DType.BF16, DType.F8_E4M3];

    /// <summary>The rows of a block.</summary>
    public long BlockRows { get; }

    /// <summary>The columns of a block.</summary>
    public long BlockColumns { get; }

    /// <inheritdoc/>
    public override Shape ResultShape(Shape payload)
    {
        CheckMatrix(payload);
        return payload;
    }

    /// <summary>The shape of the scales of a matrix.</summary>
    public Shape ScaleShape(Shape payload)
    {
        CheckMatrix(payload);
        return new Shape(CountBlocks(payload[0], BlockRows), CountBlocks(payload[1], BlockColumns));
    }

    private static long CountBlocks(long size, long block) => (size / block) + (size % block == 0 ? 0 : 1);
}
