using System.Buffers;
using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Looks for values that no weight should have: NaN and infinities, and in quantised blocks the scales that make them. What
/// llama.cpp does with --check-tensors (ggml_validate_row_data), for every dtype. Safe for any thread.
/// </summary>
public static class FiniteValues
{
    // The exponent that OCP MX reserves for NaN. ggml decodes it as 2^127, so that small quants come out finite.
    private const byte ReservedExponent = 0xFF;

    /// <summary>Reads the chosen tensors on all cores, and throws for the first that has such values.</summary>
    /// <remarks>MXFP4 tensors are read twice: their values do not tell what their exponents are.</remarks>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="choice">The tensors; null for all.</param>
    /// <param name="progress">Told after each piece; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="InvalidCheckpointException">
    /// A tensor has such values (<see cref="CheckpointErrorCode.ValueNotFinite"/>), or a file was cut or changed while it was read.
    /// </exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static async Task EnsureAsync(
        Checkpoint checkpoint, TensorChoice? choice = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        var results = await StatisticsReader.ReadAsync(checkpoint, choice, progress, cancellationToken).ConfigureAwait(false);
        var reserved = new long?[results.Length];
        await Parallel.ForAsync(
            0,
            results.Length,
            cancellationToken,
            async (i, token) => reserved[i] = await FindReservedExponentAsync(results[i].Tensor, token).ConfigureAwait(false)).ConfigureAwait(false);
        for (var i = 0; i < results.Length; i++)
        {
            if (results[i].Values is var values && values.FiniteCount < values.Count)
            {
                throw await DescribeAsync(results[i].Tensor, values, OthersBeside(results, i), cancellationToken).ConfigureAwait(false);
            }

            if (reserved[i] is { } block)
            {
                throw Invalid(results[i].Tensor, block, "a block has the exponent 255, which means NaN");
            }
        }
    }

    private static async Task<InvalidCheckpointException> DescribeAsync(
        TensorInfo tensor, ValueStatistics values, string others, CancellationToken cancellationToken)
    {
        var infinities = values.PositiveInfinityCount + values.NegativeInfinityCount;
        var first = await FindAsync(tensor, new FirstNotFinite(ValueDecoder.Of(tensor.DType)).IndexOf, cancellationToken).ConfigureAwait(false);
        return Invalid(
            tensor, (first ?? 0) / tensor.DType.BlockLength, $"of {values.Count} values {values.NaNCount} are NaN and {infinities} infinite{others}");
    }

    private static InvalidCheckpointException Invalid(TensorInfo tensor, long block, string problem) => new(
        CheckpointErrorCode.ValueNotFinite,
        tensor.File.Path,
        $"{problem}; compare the file's hash with its source's.",
        tensor.File.Format,
        TensorPieces.OffsetOf(tensor, block * tensor.DType.BlockLength),
        tensor.Name);

    private static string OthersBeside(ImmutableArray<TensorStatistics> results, int index)
    {
        var others = results.Where((other, i) => i != index && other.Values.FiniteCount < other.Values.Count).Count();
        return others switch
        {
            0 => "",
            1 => ", and one more tensor has such",
            _ => $", and {others} more tensors have such",
        };
    }

    private static async Task<long?> FindReservedExponentAsync(TensorInfo tensor, CancellationToken cancellationToken)
    {
        if (tensor.DType != DType.MXFP4)
        {
            return null;
        }

        var element = await FindAsync(
            tensor,
            blocks =>
            {
                for (var offset = 0; offset < blocks.Length; offset += DType.MXFP4.BlockSize)
                {
                    if (blocks[offset] == ReservedExponent)
                    {
                        return offset / DType.MXFP4.BlockSize * DType.MXFP4.BlockLength;
                    }
                }

                return -1;
            },
            cancellationToken).ConfigureAwait(false);
        return element / DType.MXFP4.BlockLength;
    }

    // The first element that is looked for, in stored chunks of whole blocks; the caller answers -1 where a chunk has none.
    private static async Task<long?> FindAsync(TensorInfo tensor, Finder indexIn, CancellationToken cancellationToken)
    {
        var elements = TensorPieces.ElementsPerPiece(tensor);
        var chunkBytes = (int)tensor.DType.ByteCount(TensorPieces.ChunkElements);
        var buffer = ArrayPool<byte>.Shared.Rent((int)tensor.DType.ByteCount(elements));
        try
        {
            for (long done = 0; done < tensor.ElementCount; done += elements)
            {
                var piece = buffer.AsMemory(0, (int)tensor.DType.ByteCount(Math.Min(elements, tensor.ElementCount - done)));
                await TensorPieces.ReadAsync(tensor, done, piece, cancellationToken).ConfigureAwait(false);
                for (var at = 0; at < piece.Length; at += chunkBytes)
                {
                    var index = indexIn(piece.Span.Slice(at, Math.Min(chunkBytes, piece.Length - at)));
                    if (index >= 0)
                    {
                        return done + (at / tensor.DType.BlockSize * tensor.DType.BlockLength) + index;
                    }
                }
            }

            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private delegate int Finder(ReadOnlySpan<byte> stored);

    private sealed class FirstNotFinite(ValueDecoder decoder)
    {
        // Complex numbers are two values an element.
        private readonly double[] _values = new double[2 * TensorPieces.ChunkElements];

        public int IndexOf(ReadOnlySpan<byte> stored)
        {
            var values = decoder.DecodeDouble(stored, _values);
            for (var i = 0; i < values.Length; i++)
            {
                if (!double.IsFinite(values[i]))
                {
                    return i / decoder.ValuesPerElement;
                }
            }

            return -1;
        }
    }
}
