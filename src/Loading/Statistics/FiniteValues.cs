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

    /// <summary>Reads the chosen tensors once, on all cores, and throws for the first that has such values.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="choice">The tensors; null for all.</param>
    /// <param name="progress">Told after each piece; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="InvalidCheckpointException">
    /// A tensor has such values (<see cref="CheckpointErrorCode.ValueNotFinite"/>), or a file was cut or changed while it was read.
    /// </exception>
    /// <exception cref="UnsupportedCheckpointException">A tensor is a strided view, whose values are not read.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static async Task EnsureAsync(
        Checkpoint checkpoint, TensorChoice? choice = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        var results = await StatisticsReader.ReadAsync(checkpoint, choice, progress, cancellationToken).ConfigureAwait(false);
        foreach (var result in results)
        {
            // A view is refused here, with the words that any reader of its values has.
            _ = ValueDecoder.For(result.Tensor);
            await EnsureAsync(result, results, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task EnsureAsync(
        TensorStatistics result, ImmutableArray<TensorStatistics> results, CancellationToken cancellationToken)
    {
        var (tensor, values) = (result.Tensor, result.Values!);
        var infinities = values.PositiveInfinityCount + values.NegativeInfinityCount;
        if (values.NaNCount + infinities > 0)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ValueNotFinite,
                tensor.File.Path,
                $"of {values.Count} values {values.NaNCount} are NaN and {infinities} infinite{OthersBeside(results, result)}; compare the file's hash with its source's.",
                tensor.File.Format,
                tensor: tensor.Name);
        }

        if (tensor.DType == DType.MXFP4 && await FindReservedExponentAsync(tensor, cancellationToken).ConfigureAwait(false) is { } block)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ValueNotFinite,
                tensor.File.Path,
                "a block has the exponent 255, which means NaN; compare the file's hash with its source's.",
                tensor.File.Format,
                tensor.Offset + (block * tensor.DType.BlockSize),
                tensor.Name);
        }
    }

    private static string OthersBeside(ImmutableArray<TensorStatistics> results, TensorStatistics result)
    {
        var others = results.Count(other => other != result && other.Values is { } values && values.FiniteCount < values.Count);
        return others switch
        {
            0 => "",
            1 => ", and one more tensor has such",
            _ => $", and {others} more tensors have such",
        };
    }

    private static async Task<long?> FindReservedExponentAsync(TensorInfo tensor, CancellationToken cancellationToken)
    {
        var elements = TensorPieces.ElementsPerPiece(tensor.DType);
        var size = tensor.DType.BlockSize;
        var buffer = ArrayPool<byte>.Shared.Rent((int)tensor.DType.ByteCount(elements));
        try
        {
            for (long done = 0; done < tensor.ElementCount; done += elements)
            {
                var piece = buffer.AsMemory(0, (int)tensor.DType.ByteCount(Math.Min(elements, tensor.ElementCount - done)));
                await TensorPieces.ReadAsync(tensor, done, piece, cancellationToken).ConfigureAwait(false);
                for (var offset = 0; offset < piece.Length; offset += size)
                {
                    if (piece.Span[offset] == ReservedExponent)
                    {
                        return (done / tensor.DType.BlockLength) + (offset / size);
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
}
