using System.Buffers;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Two tensors of one shape whose values are compared.</summary>
/// <param name="left">The first.</param>
/// <param name="right">The second.</param>
internal sealed class TensorPair(TensorInfo left, TensorInfo right)
{
    /// <summary>The first tensor.</summary>
    public TensorInfo Left => left;

    /// <summary>The second tensor.</summary>
    public TensorInfo Right => right;

    /// <summary>The elements of a piece.</summary>
    public int ElementsPerPiece { get; } = TensorPieces.ElementsPerPiece(left, right);

    /// <summary>Numbers of one element: 2 for complex types.</summary>
    public int ValuesPerElement => ValueDecoder.Of(left.DType).ValuesPerElement;

    /// <summary>Why these two cannot be compared by value, or null where they can.</summary>
    public static string? RefusalOf(TensorInfo left, TensorInfo right) =>
        (left.DType.Kind == DTypeKind.Complex) != (right.DType.Kind == DTypeKind.Complex)
            ? $"{left.DType.Name} and {right.DType.Name} are not compared by value: one of the two is complex."
            : null;

    /// <summary>Compares a stretch; holds one piece of each.</summary>
    public async Task<DifferenceCounts> CompareAsync(Stretch stretch, ReadingProgress reading, CancellationToken cancellationToken)
    {
        var longest = Math.Min(ElementsPerPiece, stretch.Elements);
        var leftBytes = ArrayPool<byte>.Shared.Rent((int)left.DType.ByteCount(longest));
        var rightBytes = ArrayPool<byte>.Shared.Rent((int)right.DType.ByteCount(longest));
        // Room for complex numbers, whose elements are two values.
        var leftValues = ArrayPool<double>.Shared.Rent(2 * TensorPieces.ChunkElements);
        var rightValues = ArrayPool<double>.Shared.Rent(2 * TensorPieces.ChunkElements);
        var counts = new DifferenceCounts();
        try
        {
            for (long done = 0; done < stretch.Elements; done += ElementsPerPiece)
            {
                var elements = Math.Min(ElementsPerPiece, stretch.Elements - done);
                var leftPiece = leftBytes.AsMemory(0, (int)left.DType.ByteCount(elements));
                var rightPiece = rightBytes.AsMemory(0, (int)right.DType.ByteCount(elements));
                await TensorPieces.ReadAsync(left, stretch.FirstElement + done, leftPiece, cancellationToken).ConfigureAwait(false);
                await TensorPieces.ReadAsync(right, stretch.FirstElement + done, rightPiece, cancellationToken).ConfigureAwait(false);
                ComparePiece(ref counts, stretch.FirstElement + done, leftPiece.Span, rightPiece.Span, leftValues, rightValues);
                reading.Add(stretch.Item, elements, leftPiece.Length + rightPiece.Length);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(leftBytes);
            ArrayPool<byte>.Shared.Return(rightBytes);
            ArrayPool<double>.Shared.Return(leftValues);
            ArrayPool<double>.Shared.Return(rightValues);
        }

        return counts;
    }

    private void ComparePiece(
        ref DifferenceCounts counts,
        long firstElement,
        ReadOnlySpan<byte> leftPiece,
        ReadOnlySpan<byte> rightPiece,
        Span<double> leftBuffer,
        Span<double> rightBuffer)
    {
        var sameType = left.DType == right.DType;
        if (sameType && leftPiece.SequenceEqual(rightPiece))
        {
            return;
        }

        var (leftChunk, rightChunk) = ((int)left.DType.ByteCount(TensorPieces.ChunkElements), (int)right.DType.ByteCount(TensorPieces.ChunkElements));
        while (!leftPiece.IsEmpty)
        {
            var leftStored = leftPiece[..Math.Min(leftChunk, leftPiece.Length)];
            var rightStored = rightPiece[..Math.Min(rightChunk, rightPiece.Length)];
            if (!sameType || !leftStored.SequenceEqual(rightStored))
            {
                CompareChunk(ref counts, firstElement, leftStored, rightStored, leftBuffer, rightBuffer);
            }

            leftPiece = leftPiece[leftStored.Length..];
            rightPiece = rightPiece[rightStored.Length..];
            firstElement += TensorPieces.ChunkElements;
        }
    }

    private void CompareChunk(
        ref DifferenceCounts counts,
        long firstElement,
        ReadOnlySpan<byte> leftStored,
        ReadOnlySpan<byte> rightStored,
        Span<double> leftBuffer,
        Span<double> rightBuffer)
    {
        var (leftDecoder, rightDecoder) = (ValueDecoder.Of(left.DType), ValueDecoder.Of(right.DType));
        var leftValues = leftDecoder.DecodeDouble(leftStored, leftBuffer);
        var rightValues = rightDecoder.DecodeDouble(rightStored, rightBuffer);
        if (leftDecoder.IsWideInteger || rightDecoder.IsWideInteger)
        {
            for (var i = 0; i < leftValues.Length; i++)
            {
                counts.Add(
                    firstElement + i,
                    new StoredValue(left.DType, leftValues[i], leftDecoder.IsWideInteger ? leftDecoder.WideInteger(leftStored, i) : null),
                    new StoredValue(right.DType, rightValues[i], rightDecoder.IsWideInteger ? rightDecoder.WideInteger(rightStored, i) : null));
            }

            return;
        }

        var before = counts.Different;
        ChunkComparison.Compare(
            ref counts, leftValues, rightValues, firstElement * leftDecoder.ValuesPerElement, leftDecoder.ValueType, rightDecoder.ValueType);
        if (left.DType == right.DType)
        {
            counts.BytesOnly += left.DType.BlockLength == 1 && leftDecoder.ValuesPerElement == 1
                ? ChunkComparison.CountDifferentElements(leftStored, rightStored, left.DType.BlockSize) - (counts.Different - before)
                : ChunkComparison.CountBytesOnly(leftStored, rightStored, left.DType.BlockSize, leftValues, rightValues);
        }
    }
}
