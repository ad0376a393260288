using System.Buffers;
using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Reads tensors once, piece by piece on all cores, and computes statistics of their values. The result depends on the
/// values alone: not on the device, cores, order of arrival or vector width. Memory stays within a few pieces a core, and on
/// a GPU within a stretch of 16 MiB and its values for each of at most eight lanes. Safe for any thread.
/// </summary>
public static class StatisticsReader
{
    /// <summary>Computes the statistics of the chosen tensors.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="choice">The tensors; null for all.</param>
    /// <param name="progress">Told after each piece; must return soon.</param>
    /// <param name="device">Where values are decoded and summed up, null for the host; the extremes of 64-bit integers are always found there.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <returns>One result a chosen tensor, in the order of the checkpoint.</returns>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">A file was cut or changed while it was read.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    /// <exception cref="NotSupportedException">The device is the meta device, which has no storage.</exception>
    public static Task<ImmutableArray<TensorStatistics>> ReadAsync(
        Checkpoint checkpoint,
        TensorChoice? choice = null,
        IProgress<LoadProgress>? progress = null,
        Device? device = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return ReadAsync(
            choice is null ? checkpoint.Tensors : [.. checkpoint.Tensors.Where(tensor => choice.Includes(tensor.Name))],
            progress,
            device,
            cancellationToken);
    }

    /// <summary>Computes the statistics of one tensor.</summary>
    /// <param name="tensor">The tensor, of a checkpoint that is still open.</param>
    /// <param name="progress">Told after each piece; must return soon.</param>
    /// <param name="device">Where values are decoded and summed up, null for the host; the extremes of 64-bit integers are always found there.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <inheritdoc cref="ReadAsync(Checkpoint, TensorChoice?, IProgress{LoadProgress}?, Device?, CancellationToken)" path="/exception"/>
    public static async Task<ValueStatistics> ReadAsync(
        TensorInfo tensor, IProgress<LoadProgress>? progress = null, Device? device = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        var statistics = await ReadAsync([tensor], progress, device, cancellationToken).ConfigureAwait(false);
        return statistics[0].Values;
    }

    /// <summary>Reads a tensor once more and counts its values in bins between its smallest and its largest.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="statistics">The tensor's statistics.</param>
    /// <param name="bins">The most bins, 1 to 65,536; integers get fewer where fewer of equal width hold all of them.</param>
    /// <param name="progress">Told after each piece; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <returns>The bins in ascending order; none where there is no finite value.</returns>
    /// <inheritdoc cref="ReadAsync(TensorInfo, IProgress{LoadProgress}?, Device?, CancellationToken)" path="/exception"/>
    public static async Task<ImmutableArray<HistogramBin>> ReadHistogramAsync(
        TensorInfo tensor,
        ValueStatistics statistics,
        int bins = Histogram.DefaultBins,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentNullException.ThrowIfNull(statistics);
        ArgumentOutOfRangeException.ThrowIfLessThan(bins, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bins, Histogram.MaximumBins);
        var decoder = ValueDecoder.Of(tensor.DType);
        if (statistics is not { Minimum: { } minimum, Maximum: { } maximum })
        {
            return [];
        }

        var histogram = new Histogram(minimum, maximum, bins);
        await ForEachStretchAsync(
            [tensor],
            progress,
            async (stretch, reading, token) =>
            {
                var counts = histogram.CreateCounts();
                await ReadStretchAsync(tensor, stretch, reading, (stored, buffer) => histogram.Count(counts, decoder, stored, buffer), token)
                    .ConfigureAwait(false);
                return counts;
            },
            (_, counts) => histogram.Add(counts),
            lanes: null,
            cancellationToken).ConfigureAwait(false);
        return histogram.ToBins();
    }

    private static async Task<ImmutableArray<TensorStatistics>> ReadAsync(
        ImmutableArray<TensorInfo> tensors, IProgress<LoadProgress>? progress, Device? device, CancellationToken cancellationToken)
    {
        TensorMoments[] merged = [.. tensors.Select(tensor => new TensorMoments(ValueDecoder.Of(tensor.DType)))];
        using var lanes = device is null or { Kind: DeviceKind.Host } ? null : StagedSummary.Create(device, tensors);
        await ForEachStretchAsync(
            tensors,
            progress,
            async (stretch, reading, token) =>
            {
                var tensor = tensors[stretch.Item];
                var moments = new TensorMoments(ValueDecoder.Of(tensor.DType));
                if (lanes is null)
                {
                    await ReadStretchAsync(tensor, stretch, reading, (stored, buffer) => moments.AddStored(stored, buffer.Span), token)
                        .ConfigureAwait(false);
                }
                else
                {
                    await lanes.ReadAsync(tensor, stretch, reading, moments, token).ConfigureAwait(false);
                }

                return moments;
            },
            (item, moments) => merged[item].Add(moments),
            lanes?.Count,
            cancellationToken).ConfigureAwait(false);
        return [.. tensors.Select((tensor, i) => new TensorStatistics(tensor, ValueStatistics.From(merged[i])))];
    }

    // Stretches run side by side, each with a result of its own; the results are taken in the order of the tensors' elements.
    private static async Task ForEachStretchAsync<TResult>(
        ImmutableArray<TensorInfo> tensors,
        IProgress<LoadProgress>? progress,
        Func<Stretch, ReadingProgress, CancellationToken, Task<TResult>> read,
        Action<int, TResult> take,
        int? lanes,
        CancellationToken cancellationToken)
    {
        var cut = ImmutableArray.CreateBuilder<Stretch>();
        for (var i = 0; i < tensors.Length; i++)
        {
            TensorPieces.Cut(cut, i, tensors[i]);
        }

        var stretches = cut.ToImmutable();
        var results = new TResult[stretches.Length];
        var reading = new ReadingProgress(
            progress, tensors.Sum(tensor => tensor.DataByteLength), [.. tensors.Select(tensor => tensor.ElementCount)], cancellationToken);
        await Parallel.ForAsync(
            0,
            stretches.Length,
            new ParallelOptions { MaxDegreeOfParallelism = lanes ?? -1, CancellationToken = cancellationToken },
            async (i, token) => results[i] = await read(stretches[i], reading, token).ConfigureAwait(false)).ConfigureAwait(false);
        await TensorPieces.EnsureUnchangedAsync(tensors, cancellationToken).ConfigureAwait(false);
        for (var i = 0; i < results.Length; i++)
        {
            take(stretches[i].Item, results[i]);
        }
    }

    private static async Task ReadStretchAsync(
        TensorInfo tensor, Stretch stretch, ReadingProgress reading, Action<ReadOnlySpan<byte>, Memory<double>> addChunk, CancellationToken cancellationToken)
    {
        var perPiece = TensorPieces.ElementsPerPiece(tensor);
        var longest = (int)tensor.DType.ByteCount(Math.Min(perPiece, stretch.Elements));
        var chunkBytes = (int)tensor.DType.ByteCount(TensorPieces.ChunkElements);
        var stored = ArrayPool<byte>.Shared.Rent(longest);
        // Room for complex numbers, whose elements are two values.
        var buffer = ArrayPool<double>.Shared.Rent(2 * TensorPieces.ChunkElements);
        try
        {
            for (long done = 0; done < stretch.Elements; done += perPiece)
            {
                var elements = Math.Min(perPiece, stretch.Elements - done);
                var piece = stored.AsMemory(0, (int)tensor.DType.ByteCount(elements));
                await TensorPieces.ReadAsync(tensor, stretch.FirstElement + done, piece, cancellationToken).ConfigureAwait(false);
                for (var at = 0; at < piece.Length; at += chunkBytes)
                {
                    addChunk(piece.Span.Slice(at, Math.Min(chunkBytes, piece.Length - at)), buffer);
                }

                reading.Add(stretch.Item, elements, piece.Length);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(stored);
            ArrayPool<double>.Shared.Return(buffer);
        }
    }
}
