using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Takes from rows of whole groups the elements that a share has of each.</summary>
internal static class GroupedRows
{
    /// <summary>Sets to 0 what is not the share's, each element staying at its place.</summary>
    /// <param name="piece">A piece of a share that cuts groups.</param>
    /// <param name="values">Its elements as they are written.</param>
    public static void ClearOthers(Piece piece, Span<byte> values)
    {
        foreach (var (at, count, skipped, kept) in RowsOf(piece))
        {
            Part(piece, values, at, skipped).Clear();
            Part(piece, values, at + skipped + kept, count - skipped - kept).Clear();
        }
    }

    /// <summary>Puts what is the share's side by side at the beginning.</summary>
    /// <param name="piece">A piece of a share that cuts groups.</param>
    /// <param name="values">Its elements as they are written.</param>
    /// <returns>The share's elements.</returns>
    public static ReadOnlySpan<byte> Join(Piece piece, Span<byte> values)
    {
        long done = 0;
        foreach (var (at, _, skipped, kept) in RowsOf(piece))
        {
            Part(piece, values, at + skipped, kept).CopyTo(Part(piece, values, done, kept));
            done += kept;
        }

        return Part(piece, values, 0, done);
    }

    // The rows, or ends of rows, that a piece has: where each begins in it, its length, and of that what is before the share and what is the share's.
    private static IEnumerable<(long At, long Count, long Skipped, long Kept)> RowsOf(Piece piece)
    {
        var tensor = piece.Tensor;
        var row = tensor.Source.Shape[^1];
        for (long at = 0; at < piece.ElementCount;)
        {
            var first = piece.FirstElement + at;
            var count = Math.Min(piece.ElementCount - at, row - (first % row));
            var kept = tensor.WrittenBefore(first + count) - tensor.WrittenBefore(first);
            yield return (at, count, Math.Clamp(tensor.SkippedElements - (first % row), 0, count), kept);
            at += count;
        }
    }

    private static Span<byte> Part(Piece piece, Span<byte> values, long first, long count)
    {
        var size = piece.Tensor.DType.BlockSize;
        return values.Slice(checked((int)(first * size)), checked((int)(count * size)));
    }
}
