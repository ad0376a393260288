using System.Buffers;
using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Looks for values that no weight should have: NaN and infinities, and in quantised blocks the scales that make them. What
/// llama.cpp does with --check-tensors (ggml_validate_row_data), for every dtype. Safe for any thread.
/// </summary>
public static class FiniteValues
{
    // The exponent that OCP MX reserves for NaN. ggml decodes it as 2^127, so that small quants come out finite.
    private const byte ReservedExponent = 0xFF;

    // A message is a line or two; what is wrong with more tensors than this is seldom the single tensor.
    private const int MostNames = 3;

    private const string Advice = "compare the file's hash with its source's.";

    /// <summary>Reads the chosen tensors on all cores, and throws for the first that has such values.</summary>
    /// <remarks>MXFP4 tensors are read twice: their values do not tell what their exponents are.</remarks>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="choice">The tensors; null for all.</param>
    /// <param name="progress">Told after each piece; must return soon.</param>
    /// <param name="device">Where values are decoded and summed up, null for the host; MXFP4's exponents are always looked at there.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="InvalidCheckpointException">
    /// A tensor has such values (<see cref="CheckpointErrorCode.ValueNotFinite"/>), or a file was cut or changed while it was read.
    /// </exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    /// <exception cref="NotSupportedException">The device is the meta device, which has no storage.</exception>
    public static async Task EnsureAsync(
        Checkpoint checkpoint,
        TensorChoice? choice = null,
        IProgress<LoadProgress>? progress = null,
        Device? device = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        var results = await StatisticsReader.ReadAsync(checkpoint, choice, progress, device, cancellationToken).ConfigureAwait(false);
        var reserved = new long?[results.Length];
        await Parallel.ForAsync(
            0,
            results.Length,
            cancellationToken,
            async (i, token) => reserved[i] = await FindReservedExponentAsync(results[i].Tensor, token).ConfigureAwait(false)).ConfigureAwait(false);
        for (var i = 0; i < results.Length; i++)
        {
            if (!IsFinite(results[i].Values))
            {
                var others = results.Where((other, j) => j != i && !IsFinite(other.Values)).Count();
                throw await DescribeAsync(results[i].Tensor, results[i].Values, others, cancellationToken).ConfigureAwait(false);
            }

            if (reserved[i] is { } block)
            {
                throw Invalid(results[i].Tensor, block, "a block has the exponent 255, which means NaN");
            }
        }
    }

    /// <summary>
    /// Looks at the tensors of a model where they are, on their device, and throws for the first that has such values: those of
    /// the file, or those that a load into a narrower dtype made. No file is read.
    /// </summary>
    /// <remarks>
    /// It is values that are looked at: MXFP4's exponent 255, which decodes to numbers, is found in the file
    /// (<see cref="EnsureAsync(Checkpoint, TensorChoice?, IProgress{LoadProgress}?, Device?, CancellationToken)"/>).
    /// </remarks>
    /// <param name="model">The model; nobody writes its tensors meanwhile.</param>
    /// <param name="progress">Told after each stretch; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="InvalidCheckpointException">
    /// A tensor has such values (<see cref="CheckpointErrorCode.ValueNotFinite"/>); says where the first is, how many, and which
    /// other tensors have such.
    /// </exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    /// <exception cref="NotSupportedException">The model is on the meta device, which has no values.</exception>
    public static async Task EnsureAsync(
        LoadedModel model, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ImmutableArray<LoadedTensor> tensors = [.. model];
        var results = await LoadedStatistics.ComputeAsync([.. tensors.Select(entry => entry.Tensor)], progress, cancellationToken).ConfigureAwait(false);
        ImmutableArray<int> odd = [.. Enumerable.Range(0, results.Length).Where(i => !IsFinite(results[i]))];
        if (!odd.IsEmpty)
        {
            throw Describe(model, tensors[odd[0]], results[odd[0]], [.. odd.Skip(1).Select(i => tensors[i].Name)], cancellationToken);
        }
    }

    private static bool IsFinite(ValueStatistics values) => values.FiniteCount == values.Count;

    private static InvalidCheckpointException Describe(
        LoadedModel model, LoadedTensor entry, ValueStatistics values, ImmutableArray<string> others, CancellationToken cancellationToken)
    {
        var tensor = entry.Tensor;
        using var lane = new SummaryLane(tensor.Device);
        var first = lane.FindNotFinite(tensor, cancellationToken) ?? 0;
        var index = new long[tensor.Shape.Rank];
        for (var i = index.Length - 1; i >= 0; i--)
        {
            (first, index[i]) = Math.DivRem(first, tensor.Shape[i]);
        }

        var names = string.Join(", ", others.Take(MostNames).Select(Quoted.Name));
        var more = others.Length > MostNames ? $" and {others.Length - MostNames} more" : "";
        var beside = others.IsEmpty ? "" : $", and so {(others.Length == 1 ? "has" : "have")} {names}{more}";
        var advice = model.FindConverted(entry.Name) is { } stored
            ? $"where the file, which has it as {stored.Name}, has none ('verify --values' tells), {tensor.DType.Name} is too narrow."
            : Advice;
        return new InvalidCheckpointException(
            CheckpointErrorCode.ValueNotFinite,
            model.Name,
            $"{Count(values)} as {tensor.DType.Name} on {tensor.Device}, the first at {new Shape(index)}{beside}; {advice}",
            tensor: entry.Name);
    }

    private static string Count(ValueStatistics values)
    {
        var infinite = values.PositiveInfinityCount + values.NegativeInfinityCount;
        return values.Count == 1 ? $"its only value is {(infinite == 0 ? "NaN" : "infinite")}"
            : infinite == 0 ? $"of {values.Count} values {Are(values.NaNCount, "NaN")}"
            : values.NaNCount == 0 ? $"of {values.Count} values {Are(infinite, "infinite")}"
            : $"of {values.Count} values {Are(values.NaNCount, "NaN")} and {Are(infinite, "infinite")}";

        static string Are(long count, string what) => $"{count} {(count == 1 ? "is" : "are")} {what}";
    }

    private static async Task<InvalidCheckpointException> DescribeAsync(
        TensorInfo tensor, ValueStatistics values, int others, CancellationToken cancellationToken)
    {
        var first = await FindAsync(tensor, new FirstNotFinite(ValueDecoder.Of(tensor.DType)).IndexOf, cancellationToken).ConfigureAwait(false);
        return Invalid(
            tensor, (first ?? 0) / tensor.DType.BlockLength, Count(values) + OthersBeside(others));
    }

    private static InvalidCheckpointException Invalid(TensorInfo tensor, long block, string problem) => new(
        CheckpointErrorCode.ValueNotFinite,
        tensor.File.Path,
        $"{problem}; {Advice}",
        tensor.File.Format,
        TensorPieces.OffsetOf(tensor, block * tensor.DType.BlockLength),
        tensor.Name);

    private static string OthersBeside(int others) => others switch
    {
        0 => "",
        1 => ", and one more tensor has such",
        _ => $", and {others} more tensors have such",
    };

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
