using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Reads tensors piece by piece, so that memory stays bounded whatever their size. Where the cuts are depends on the
/// types alone, not on cores or sources: what is computed a piece and merged in order is the same on every machine.
/// </summary>
internal static class TensorPieces
{
    /// <summary>
    /// Elements that are decoded at a time: 32 KiB as doubles, which a processor's first cache holds; a multiple of every
    /// block's length.
    /// </summary>
    public const int ChunkElements = Moments.ChunkLength;

    // Large enough for a read's own cost to vanish, small enough for the second cache and for a quick cancellation.
    private const int PieceBytes = 1 << 20;

    // 16 MiB: enough work for a core to be worth handing out, and few enough results to keep (64 Ki for a tebibyte).
    private const int PiecesPerStretch = 16;

    /// <summary>
    /// The bytes of a view's elements that are asked for at a time: a stretch at once. A range of a transposed matrix touches
    /// every row of its storage, however short it is, so that longer ones are fewer passes over it; and values are computed in the
    /// same chunks and merged in the same order as those of a tensor whose elements lie side by side.
    /// </summary>
    public const int ViewPieceBytes = PieceBytes * PiecesPerStretch;

    /// <summary>The elements of one piece: whole chunks, in at most 1 MiB of each of these types.</summary>
    public static int ElementsPerPiece(params ReadOnlySpan<DType> dtypes)
    {
        var elements = int.MaxValue;
        foreach (var dtype in dtypes)
        {
            elements = Math.Min(elements, PieceBytes / dtype.BlockSize * dtype.BlockLength);
        }

        return elements / ChunkElements * ChunkElements;
    }

    /// <summary>The elements of one piece: as their types say, or a whole stretch where one is a view whose elements do not lie side by side.</summary>
    public static int ElementsPerPiece(params ReadOnlySpan<TensorInfo> tensors)
    {
        foreach (var tensor in tensors)
        {
            if (!tensor.IsContiguous)
            {
                return ElementsPerStretch(tensors);
            }
        }

        return ElementsPerStretch(tensors) / PiecesPerStretch;
    }

    /// <summary>Cuts an item of a list into stretches; one without elements has none.</summary>
    /// <param name="stretches">Receives them.</param>
    /// <param name="item">The item's index.</param>
    /// <param name="tensors">The tensors of the item, all of one shape.</param>
    public static void Cut(ImmutableArray<Stretch>.Builder stretches, int item, params ReadOnlySpan<TensorInfo> tensors) =>
        Cut(stretches, item, tensors[0].ElementCount, ElementsPerStretch(tensors));

    /// <summary>Cuts a tensor that is loaded as one of the same type that is read, so that what is merged is the same.</summary>
    public static void Cut(ImmutableArray<Stretch>.Builder stretches, int item, Tensor tensor) =>
        Cut(stretches, item, tensor.ElementCount, (long)ElementsPerPiece(tensor.DType) * PiecesPerStretch);

    private static void Cut(ImmutableArray<Stretch>.Builder stretches, int item, long elements, long longest)
    {
        for (long first = 0; first < elements; first += longest)
        {
            stretches.Add(new Stretch(item, first, Math.Min(longest, elements - first)));
        }
    }

    /// <summary>Reads stored elements.</summary>
    /// <param name="tensor">The tensor, with any strides.</param>
    /// <param name="firstElement">Where to begin in row-major order: at a block's first element.</param>
    /// <param name="destination">Filled whole.</param>
    /// <param name="cancellationToken">Cancels before the read and, where the source can, in it.</param>
    /// <exception cref="IOException">The bytes cannot be read; says which tensor, file and offset.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced; says which tensor, file and offset.</exception>
    public static async ValueTask ReadAsync(
        TensorInfo tensor, long firstElement, Memory<byte> destination, CancellationToken cancellationToken)
    {
        if (!tensor.IsContiguous)
        {
            await StridedReader.ReadAsync(tensor, firstElement, destination, cancellationToken).ConfigureAwait(false);
            return;
        }

        var offset = tensor.DataOffset + tensor.DType.ByteCount(firstElement);
        try
        {
            await tensor.File.Source.ReadExactlyAsync(offset, destination, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or InvalidCheckpointException { Tensor: null })
        {
            throw ReadFailure.Explain(exception, tensor, offset);
        }
    }

    /// <summary>Where an element lies, in bytes from the start of the file; of block types, its block.</summary>
    /// <param name="tensor">The tensor, with any strides.</param>
    /// <param name="element">The element in row-major order.</param>
    public static long OffsetOf(TensorInfo tensor, long element)
    {
        var blocks = element / tensor.DType.BlockLength;
        return tensor.IsContiguous
            ? tensor.DataOffset + (blocks * tensor.DType.BlockSize)
            : StridedBox.Cover(tensor, blocks, 1)[0].Offset;
    }

    /// <summary>Checks that the files of these tensors are still those that were opened.</summary>
    /// <exception cref="InvalidCheckpointException">A file was changed or replaced.</exception>
    public static async Task EnsureUnchangedAsync(IEnumerable<TensorInfo> tensors, CancellationToken cancellationToken)
    {
        foreach (var file in tensors.Select(tensor => tensor.File).Distinct())
        {
            await file.Source.EnsureUnchangedAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    // By the types alone: what lies behind a stretch is merged with it in the same way whatever the strides are.
    private static int ElementsPerStretch(ReadOnlySpan<TensorInfo> tensors)
    {
        var elements = int.MaxValue;
        foreach (var tensor in tensors)
        {
            elements = Math.Min(elements, ElementsPerPiece(tensor.DType));
        }

        return elements * PiecesPerStretch;
    }
}
