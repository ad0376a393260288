using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The scalar body of <see cref="BlockScaledScheme"/>, and what it has to know. Written once; the .NET JIT compiles it over pointers, ILGPU over array views: what
/// <see cref="IUnitDecoder"/> says about bodies holds here too.
/// </summary>
internal readonly struct BlockScaledBody
{
    /// <summary>The columns of the matrix.</summary>
    public int Columns { get; init; }

    /// <summary>The bytes from one stored row to the next.</summary>
    public long RowBytes { get; init; }

    /// <summary>The scales from one row of blocks to the next.</summary>
    public long ScaleStride { get; init; }

    /// <summary>The zero points from one row of blocks to the next.</summary>
    public long ZeroStride { get; init; }

    /// <summary>The rows of a block.</summary>
    public InvariantDivisor BlockRows { get; init; }

    /// <summary>The columns of a block.</summary>
    public InvariantDivisor BlockColumns { get; init; }

    /// <summary>How scales are stored.</summary>
    public ScaleType Scales { get; init; }

    /// <summary>1 where there are zero points, else 0.</summary>
    public int HasZeros { get; init; }

    /// <summary>Decodes up to four neighbours of a row.</summary>
    /// <param name="payload">The stored matrix.</param>
    /// <param name="scales">The scales.</param>
    /// <param name="zeros">The zero points; not read where there are none.</param>
    /// <param name="sink">The result.</param>
    /// <param name="row">The row.</param>
    /// <param name="column">The first column, a multiple of 4.</param>
    /// <param name="index">Where its value goes.</param>
    /// <param name="four">1 where four values may be stored at once at that index, else 0.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void DecodeFour<TElement, TReader, TSink>(TReader payload, TReader scales, TReader zeros, TSink sink, int row, int column, long index, int four)
        where TElement : struct, IElementDecoder
        where TReader : struct, IByteReader
        where TSink : struct, IValueSink
    {
        var blockRow = BlockRows.Divide(row);
        var offset = (row * RowBytes) + (column * (long)TElement.Size);
        var first = BlockColumns.Divide(column);
        // Fewer are left in the last columns, which the sum may pass, and at the end of a block.
        var rest = Columns - column;
        if (rest >= 4 && four != 0 && BlockColumns.Divide(column + 3) == first)
        {
            TElement.DecodeFour(payload, offset, SinkOf(scales, zeros, sink, blockRow, first), index);
            return;
        }

        for (var i = 0; i < 4 && i < rest; i++)
        {
            TElement.Decode(payload, offset + (i * TElement.Size), SinkOf(scales, zeros, sink, blockRow, BlockColumns.Divide(column + i)), index + i);
        }
    }

    /// <summary>The bits of a block's scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ScaleOf<TReader>(TReader scales, int blockRow, int blockColumn)
        where TReader : struct, IByteReader =>
        Scales.Read(scales, (blockRow * ScaleStride) + blockColumn);

    /// <summary>A block's zero point.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ZeroOf<TReader>(TReader zeros, int blockRow, int blockColumn)
        where TReader : struct, IByteReader =>
        HasZeros == 0 ? 0 : (zeros.ReadByte((blockRow * ZeroStride) + blockColumn) << 24) >> 24;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ScaledSink<TSink> SinkOf<TReader, TSink>(TReader scales, TReader zeros, TSink sink, int blockRow, int blockColumn)
        where TReader : struct, IByteReader
        where TSink : struct, IValueSink =>
        new(sink, ScaleOf(scales, blockRow, blockColumn), ZeroOf(zeros, blockRow, blockColumn));
}
