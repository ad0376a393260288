using System.Collections.Concurrent;
using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Sums up stored values on a device that is not the host: lanes that read stretches into staging slots, so that one lane's
/// device works while another reads. Disposed after the last stretch.
/// </summary>
internal sealed class StagedSummary : IDisposable
{
    private readonly Device _device;
    private readonly StagingPool? _pool;
    private readonly ConcurrentBag<SummaryLane> _idle = [];

    private StagedSummary(Device device, int slotBytes, int count)
    {
        _device = device;
        Count = count;
        _pool = slotBytes == 0 ? null : device.CreateStagingPool(slotBytes, count);
    }

    /// <summary>The lanes, each with a slot: as many stretches may be read side by side.</summary>
    public int Count { get; }

    /// <summary>Makes slots for the longest stretches of these tensors.</summary>
    /// <exception cref="DeviceMemoryException">There is not enough memory.</exception>
    /// <exception cref="NotSupportedException">The device has no storage.</exception>
    public static StagedSummary Create(Device device, ImmutableArray<TensorInfo> tensors)
    {
        var stretches = ImmutableArray.CreateBuilder<Stretch>();
        for (var i = 0; i < tensors.Length; i++)
        {
            TensorPieces.Cut(stretches, i, tensors[i]);
        }

        var longest = stretches.Select(stretch => (int)tensors[stretch.Item].DType.ByteCount(stretch.Elements)).DefaultIfEmpty().Max();
        SummaryLane.Prepare(device, stretches.Select(stretch => tensors[stretch.Item].DType));
        return new StagedSummary(device, longest, Math.Clamp(stretches.Count, 1, StagingLayout.DefaultLanes));
    }

    /// <summary>Reads a stretch and adds it.</summary>
    public async Task ReadAsync(
        TensorInfo tensor, Stretch stretch, ReadingProgress reading, TensorMoments moments, CancellationToken cancellationToken)
    {
        using var slot = _pool!.Rent();
        // What fails is not put back: its device may still be at work.
        if (!_idle.TryTake(out var lane))
        {
            lane = new SummaryLane(_device);
        }

        try
        {
            var perPiece = TensorPieces.ElementsPerPiece(tensor);
            var filled = 0;
            for (long done = 0; done < stretch.Elements; done += perPiece)
            {
                var elements = Math.Min(perPiece, stretch.Elements - done);
                var piece = slot.Memory.Slice(filled, (int)tensor.DType.ByteCount(elements));
                await TensorPieces.ReadAsync(tensor, stretch.FirstElement + done, piece, cancellationToken).ConfigureAwait(false);
                filled += piece.Length;
                reading.Add(stretch.Item, elements, piece.Length);
            }

            lane.AddStored(slot.Memory.Span[..filled], moments, cancellationToken);
        }
        catch
        {
            // It waits for the device before the slot goes back.
            lane.Dispose();
            throw;
        }

        _idle.Add(lane);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_idle.TryTake(out var lane))
        {
            lane.Dispose();
        }

        _pool?.Dispose();
    }
}
