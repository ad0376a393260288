using System.Collections.Concurrent;
using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Computes statistics of tensors that are loaded, where they are: the same to the bit as those of the same values in a file.
/// Takes at most 32 MiB of the device for each of at most eight lanes, and for tensors that are contiguous and F32 or F64
/// none. Safe for any thread, as long as nobody writes the tensors.
/// </summary>
public static class LoadedStatistics
{
    /// <summary>Computes the statistics of one tensor.</summary>
    /// <param name="tensor">The tensor, with any strides; it stays the caller's and is not changed.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    /// <exception cref="NotSupportedException">The tensor is on the meta device, which has no values.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static async Task<ValueStatistics> ComputeAsync(Tensor tensor, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        var statistics = await ComputeAsync([tensor], progress: null, cancellationToken).ConfigureAwait(false);
        return statistics[0];
    }

    /// <summary>Computes the statistics of several tensors, each where it is.</summary>
    internal static async Task<ImmutableArray<ValueStatistics>> ComputeAsync(
        ImmutableArray<Tensor> tensors, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var cut = ImmutableArray.CreateBuilder<Stretch>();
        for (var i = 0; i < tensors.Length; i++)
        {
            ObjectDisposedException.ThrowIf(tensors[i].IsDisposed, tensors[i]);
            TensorPieces.Cut(cut, i, tensors[i]);
        }

        var stretches = cut.ToImmutable();
        foreach (var onDevice in stretches.Select(stretch => tensors[stretch.Item]).GroupBy(tensor => tensor.Device))
        {
            SummaryLane.Prepare(onDevice.Key, onDevice.Select(tensor => ValueDecoder.Of(tensor.DType).ValueType));
        }

        TensorMoments[] results = [.. stretches.Select(stretch => new TensorMoments(ValueDecoder.Of(tensors[stretch.Item].DType)))];
        var reading = new ReadingProgress(
            progress, tensors.Sum(tensor => tensor.ByteLength), [.. tensors.Select(tensor => tensor.ElementCount)], cancellationToken);
        var idle = new ConcurrentDictionary<Device, ConcurrentBag<SummaryLane>>();
        try
        {
            await Parallel.ForAsync(
                0,
                stretches.Length,
                new ParallelOptions { MaxDegreeOfParallelism = StagingLayout.DefaultLanes, CancellationToken = cancellationToken },
                (i, token) =>
                {
                    var (stretch, tensor) = (stretches[i], tensors[stretches[i].Item]);
                    var lanes = idle.GetOrAdd(tensor.Device, static _ => []);
                    var lane = lanes.TryTake(out var used) ? used : new SummaryLane(tensor.Device);
                    try
                    {
                        lane.AddTensor(tensor, stretch.FirstElement, stretch.Elements, results[i], token);
                        reading.Add(stretch.Item, stretch.Elements, tensor.DType.ByteCount(stretch.Elements));
                    }
                    finally
                    {
                        lanes.Add(lane);
                    }

                    return ValueTask.CompletedTask;
                }).ConfigureAwait(false);
        }
        finally
        {
            foreach (var lane in idle.Values.SelectMany(lanes => lanes))
            {
                lane.Dispose();
            }
        }

        TensorMoments[] merged = [.. tensors.Select(tensor => new TensorMoments(ValueDecoder.Of(tensor.DType)))];
        for (var i = 0; i < results.Length; i++)
        {
            merged[stretches[i].Item].Add(results[i]);
        }

        return [.. merged.Select(ValueStatistics.From)];
    }
}
