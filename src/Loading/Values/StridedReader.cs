using System.Buffers;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Reads elements of a strided view in row-major order, in bounded memory. A range of row-major order is a few boxes of
/// the view's dimensions; each is read in the order of its bytes in the file and copied to its place in memory.
/// </summary>
/// <remarks>
/// Dimensions are taken by stride, the smallest first. What lies between two indexes of a dimension is read with them where
/// that is cheaper than another read, for as many indexes as the scratch memory holds; each stretch beyond that is a read of its
/// own. Dimensions of stride 0 and those that overlap are read once, except where they overlap over more than the scratch
/// memory. A range that has few elements of each stretch, as some rows of a transposed matrix have, costs nearly as much as
/// all of the matrix: callers ask for ranges of <see cref="TensorPieces.ViewPieceBytes"/>, and one of 1 GiB is then read 64 times,
/// not a thousand times. What can only be read forward is read in another way: see <see cref="SequentialViews"/>.
/// </remarks>
internal static class StridedReader
{
    // Long enough for a read's own cost to vanish, and within the caches that cores share, from which it is copied.
    internal const int ScratchBytes = 4 << 20;

    /// <summary>Reads stored elements.</summary>
    /// <param name="tensor">The tensor, with any strides.</param>
    /// <param name="firstElement">Where to begin in row-major order: at a block's first element.</param>
    /// <param name="destination">Filled whole.</param>
    /// <param name="cancellationToken">Cancels before each read and, where the source can, in it.</param>
    /// <exception cref="IOException">The bytes cannot be read; says which tensor, file and offset.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced; says which tensor, file and offset.</exception>
    public static ValueTask ReadAsync(TensorInfo tensor, long firstElement, Memory<byte> destination, CancellationToken cancellationToken) =>
        ReadAsync(tensor, firstElement, destination, readsExactly: false, cancellationToken);

    /// <summary>Reads stored elements.</summary>
    /// <param name="tensor">The tensor, with any strides.</param>
    /// <param name="firstElement">Where to begin in row-major order: at a block's first element.</param>
    /// <param name="destination">Filled whole.</param>
    /// <param name="readsExactly">
    /// Whether nothing between elements is read with them, at the price of a read for each stretch; where the source can only be read forward, it is
    /// all the same.
    /// </param>
    /// <param name="cancellationToken">Cancels before each read and, where the source can, in it.</param>
    /// <inheritdoc cref="ReadAsync(TensorInfo, long, Memory{byte}, CancellationToken)" path="/exception"/>
    public static ValueTask ReadAsync(
        TensorInfo tensor, long firstElement, Memory<byte> destination, bool readsExactly, CancellationToken cancellationToken) =>
        !destination.IsEmpty && tensor.File.Source.IsSequentialAt(tensor.DataOffset)
            ? SequentialViews.Of(tensor.File.Source).ReadAsync(tensor, firstElement, destination, cancellationToken)
            : ReadAsync(tensor, firstElement, destination, ScratchBytes, readsExactly ? 1 : ReadCost.Bytes, cancellationToken);

    /// <summary>Reads stored elements from where they are, with any sizes: in tests small views meet every limit.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="firstElement">Where to begin.</param>
    /// <param name="destination">Filled whole.</param>
    /// <param name="scratchBytes">The scratch memory; at least an element.</param>
    /// <param name="readCost">What a read costs beside its bytes, in bytes.</param>
    /// <param name="cancellationToken">Cancels before each read.</param>
    internal static async ValueTask ReadAsync(
        TensorInfo tensor, long firstElement, Memory<byte> destination, int scratchBytes, int readCost, CancellationToken cancellationToken)
    {
        if (destination.IsEmpty)
        {
            return;
        }

        var unit = tensor.DType.BlockSize;
        var scratch = ArrayPool<byte>.Shared.Rent((int)Math.Min(scratchBytes, Math.Max(unit, tensor.ByteLength)));
        try
        {
            foreach (var box in StridedBox.Cover(tensor, firstElement / tensor.DType.BlockLength, destination.Length / unit))
            {
                var length = (int)box.ByteLength(unit);
                var order = new StridedOrder(box.Dimensions, unit, scratchBytes, readCost);
                await ReadBoxAsync(tensor, box, order, destination[..length], scratch, cancellationToken).ConfigureAwait(false);
                destination = destination[length..];
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(scratch);
        }
    }

    private static async ValueTask ReadBoxAsync(
        TensorInfo tensor, StridedBox box, StridedOrder order, Memory<byte> destination, byte[] scratch, CancellationToken cancellationToken)
    {
        var copied = new StridedDimension[box.Dimensions.Length];
        foreach (var stretch in order.Stretches())
        {
            var source = box.Offset + stretch.Source;
            var room = destination[(int)stretch.Destination..];
            if (order.IsPacked)
            {
                await ReadStretchAsync(tensor, source, room[..(int)stretch.ByteLength], cancellationToken).ConfigureAwait(false);
                continue;
            }

            var read = scratch.AsMemory(0, (int)stretch.ByteLength);
            await ReadStretchAsync(tensor, source, read, cancellationToken).ConfigureAwait(false);
            order.DimensionsOf(stretch, copied);
            Copy(read.Span, room.Span, copied, tensor.DType.BlockSize);
        }
    }

    private static async ValueTask ReadStretchAsync(TensorInfo tensor, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        try
        {
            await tensor.File.Source.ReadExactlyAsync(offset, destination, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or InvalidCheckpointException { Tensor: null })
        {
            throw ReadFailure.Explain(exception, tensor, offset);
        }
    }

    // Dimension by dimension, outermost first; the innermost as one run.
    private static void Copy(ReadOnlySpan<byte> source, Span<byte> destination, ReadOnlySpan<StridedDimension> dimensions, int unit)
    {
        while (!dimensions.IsEmpty && dimensions[0].Size == 1)
        {
            dimensions = dimensions[1..];
        }

        while (!dimensions.IsEmpty && dimensions[^1].Size == 1)
        {
            dimensions = dimensions[..^1];
        }

        if (dimensions.IsEmpty)
        {
            source[..unit].CopyTo(destination);
        }
        else if (dimensions.Length == 1)
        {
            CopyRun(source, destination, dimensions[0], unit);
        }
        else
        {
            var (size, from, to) = dimensions[0];
            for (long i = 0; i < size; i++)
            {
                Copy(source[(int)(i * from)..], destination[(int)(i * to)..], dimensions[1..], unit);
            }
        }
    }

    private static void CopyRun(ReadOnlySpan<byte> source, Span<byte> destination, in StridedDimension run, int unit)
    {
        if (run.Source == unit && run.Destination == unit)
        {
            source[..(int)(run.Size * unit)].CopyTo(destination);
            return;
        }

        switch (unit)
        {
            case 1:
                CopyElements<byte>(source, destination, run);
                break;
            case 2:
                CopyElements<ushort>(source, destination, run);
                break;
            case 4:
                CopyElements<uint>(source, destination, run);
                break;
            case 8:
                CopyElements<ulong>(source, destination, run);
                break;
            case 16:
                CopyElements<UInt128>(source, destination, run);
                break;
            default:
                var (from, to) = (0, 0);
                for (long i = 0; i < run.Size; i++, from += (int)run.Source, to += (int)run.Destination)
                {
                    source.Slice(from, unit).CopyTo(destination[to..]);
                }

                break;
        }
    }

    private static void CopyElements<T>(ReadOnlySpan<byte> source, Span<byte> destination, in StridedDimension run)
        where T : unmanaged
    {
        var (from, to) = (0, 0);
        for (long i = 0; i < run.Size; i++, from += (int)run.Source, to += (int)run.Destination)
        {
            var value = MemoryMarshal.Read<T>(source[from..]);
            MemoryMarshal.Write(destination[to..], in value);
        }
    }
}
