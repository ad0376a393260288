using System.Collections.Immutable;
using IlgpuLoader.Formats;

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
    public const int ChunkElements = 4096;

    // Large enough for a read's own cost to vanish, small enough for the second cache and for a quick cancellation.
    private const int PieceBytes = 1 << 20;

    // 16 MiB: enough work for a core to be worth handing out, and few enough results to keep (64 Ki for a tebibyte).
    private const int PiecesPerStretch = 16;

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

    /// <summary>Cuts an item of a list into stretches; one without elements has none.</summary>
    public static void Cut(ImmutableArray<Stretch>.Builder stretches, int item, long elements, int elementsPerPiece)
    {
        var longest = (long)elementsPerPiece * PiecesPerStretch;
        for (long first = 0; first < elements; first += longest)
        {
            stretches.Add(new Stretch(item, first, Math.Min(longest, elements - first)));
        }
    }

    /// <summary>Reads stored elements.</summary>
    /// <param name="tensor">The tensor; its storage is whole (<see cref="ValueDecoder.RefusalOf"/>).</param>
    /// <param name="firstElement">Where to begin: at a block's first element.</param>
    /// <param name="destination">Filled whole.</param>
    /// <param name="cancellationToken">Cancels before the read and, where the source can, in it.</param>
    /// <exception cref="IOException">The bytes cannot be read; says which tensor, file and offset.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced; says which tensor, file and offset.</exception>
    public static async ValueTask ReadAsync(
        TensorInfo tensor, long firstElement, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var offset = tensor.Offset + tensor.DType.ByteCount(firstElement);
        try
        {
            await tensor.File.Source.ReadExactlyAsync(offset, destination, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or InvalidCheckpointException { Tensor: null })
        {
            throw ReadFailure.Explain(exception, tensor, offset);
        }
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
}
