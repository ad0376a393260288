using System.Diagnostics;
using System.IO.Pipelines;
using System.Threading.Channels;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// One reader with its pipe, its staging slots and its device stream. Runs that need no decoding on the host are read
/// straight into their place; the others are read into a slot and handed through the pipe to the stream, and the slot
/// comes back behind the stream's fence.
/// </summary>
/// <remarks>
/// The pipe carries the bytes, a channel beside it carries which run they are: one advance and one flush a run, a run
/// never longer than a slot. A gate counts slots before one is asked for, because a pipe's own threshold counts bytes and
/// half-filled slots would let it rent far more memory than the cap. Both continue inline: on the host the reading thread
/// itself decodes the slot it has just filled, while it is in that core's cache.
/// </remarks>
internal sealed class Lane : IAsyncDisposable
{
    // Fresh pages are made present this far ahead of the read that fills them: far enough to be one call for many pages,
    // near enough for the zeroed page to be in the cache still.
    private const int TouchAheadBytes = 2 << 20;

    private readonly LoadSession _session;
    private readonly IDestinations _destinations;
    private readonly LoadPlan _plan;
    private readonly DeviceStream _stream;
    private readonly StagingPool? _pool;
    private readonly Pipe? _pipe;
    private readonly SemaphoreSlim _gate;
    private readonly Channel<ReadRun> _runs = Channel.CreateUnbounded<ReadRun>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true, AllowSynchronousContinuations = true });

    public Lane(LoadSession session, IDestinations destinations)
    {
        _session = session;
        _destinations = destinations;
        _plan = session.Plan;
        var staging = _plan.Staging;
        _gate = new SemaphoreSlim(Math.Max(1, staging.SlotsPerLane));
        _stream = _plan.Device.CreateStream();
        if (staging.SlotBytes == 0)
        {
            return;
        }

        try
        {
            _pool = _plan.Device.CreateStagingPool(staging.SlotBytes, staging.SlotsPerLane);
            _pipe = new Pipe(new PipeOptions(
                _pool,
                PipeScheduler.Inline,
                PipeScheduler.Inline,
                pauseWriterThreshold: 0,
                resumeWriterThreshold: 0,
                minimumSegmentSize: staging.SlotBytes,
                useSynchronizationContext: false));
        }
        catch
        {
            _stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads and places runs until there are no more.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var placing = _pipe is null ? Task.CompletedTask : PlaceRunsAsync(_pipe.Reader, stop.Token);
        try
        {
            await ReadRunsAsync(placing, stop.Token).ConfigureAwait(false);
            _runs.Writer.Complete();
            await placing.ConfigureAwait(false);
        }
        catch
        {
            // The placing side ends before the slots are freed, and its own failure is the more telling one.
            await stop.CancelAsync().ConfigureAwait(false);
            await placing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (placing.IsFaulted)
            {
                await placing.ConfigureAwait(false);
            }

            throw;
        }
    }

    /// <summary>Gives slots and stream back; nothing of the lane runs any more.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            // What the device may still read from a slot is done before the slot's memory goes.
            _stream.Synchronize();
        }
        finally
        {
            if (_pipe is not null)
            {
                await _pipe.Writer.CompleteAsync().ConfigureAwait(false);
                await _pipe.Reader.CompleteAsync().ConfigureAwait(false);
            }

            _pool?.Dispose();
            _stream.Dispose();
            _gate.Dispose();
        }
    }

    private async Task ReadRunsAsync(Task placing, CancellationToken cancellationToken)
    {
        int index;
        while ((index = await _destinations.TakeRunAsync(cancellationToken).ConfigureAwait(false)) >= 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = _plan.Runs[index];
            try
            {
                if (run.IsDirect)
                {
                    await ReadDirectAsync(run, cancellationToken).ConfigureAwait(false);
                    _session.RunPlaced(run);
                }
                else
                {
                    await ReadIntoSlotAsync(run, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (Exception exception) when (exception is IOException or InvalidCheckpointException)
            {
                throw _session.Explain(exception, run);
            }

            if (placing.IsFaulted)
            {
                return;
            }
        }
    }

    private async ValueTask ReadDirectAsync(ReadRun run, CancellationToken cancellationToken)
    {
        var placement = _plan.Placements[run.FirstPlacement];
        var tensor = _destinations[placement.Tensor];
        var memory = (HostMemory)tensor.Memory;
        var source = _plan.Checkpoint.Files[run.File].Source;
        for (var done = 0; done < run.ByteLength; done += TouchAheadBytes)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var length = Math.Min(TouchAheadBytes, run.ByteLength - done);
            var position = tensor.ByteOffset + placement.DestinationOffset + done;
            _session.Clock.AddFirstTouch(memory.Populate(position, length));
            var started = Stopwatch.GetTimestamp();
            if (source is ISynchronousByteSource synchronous)
            {
                synchronous.ReadExactly(run.Offset + done, memory.AsSpan(position, length));
            }
            else
            {
                await source.ReadExactlyAsync(run.Offset + done, memory.AsMemory(position, length), cancellationToken).ConfigureAwait(false);
            }

            _session.Clock.AddReading(Stopwatch.GetElapsedTime(started));
        }
    }

    private async ValueTask ReadIntoSlotAsync(ReadRun run, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        // A whole slot is asked for each time, so that what is left of the last one is never used: one run, one slot.
        var slot = _pipe!.Writer.GetMemory(_plan.Staging.SlotBytes)[..run.ByteLength];
        var source = _plan.Checkpoint.Files[run.File].Source;
        var started = Stopwatch.GetTimestamp();
        if (source is ISynchronousByteSource synchronous)
        {
            synchronous.ReadExactly(run.Offset, slot.Span);
        }
        else
        {
            await source.ReadExactlyAsync(run.Offset, slot, cancellationToken).ConfigureAwait(false);
        }

        _session.Clock.AddReading(Stopwatch.GetElapsedTime(started));
        _pipe.Writer.Advance(run.ByteLength);
        _runs.Writer.TryWrite(run);
        await _pipe.Writer.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task PlaceRunsAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        var inFlight = new Queue<(ReadRun Run, Fence Fence)>();
        long inFlightBytes = 0;
        try
        {
            while (await _runs.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            {
                while (_runs.Reader.TryRead(out var run))
                {
                    var end = checked((int)(inFlightBytes + run.ByteLength));
                    var result = await reader.ReadAtLeastAsync(end, cancellationToken).ConfigureAwait(false);
                    var bytes = result.Buffer.Slice(inFlightBytes, run.ByteLength);
                    Debug.Assert(bytes.IsSingleSegment, "A run fills one slot.");
                    PlaceRun(run, bytes.FirstSpan);
                    inFlight.Enqueue((run, _stream.Record()));
                    inFlightBytes += run.ByteLength;

                    // Slots whose work the device has passed go back. If all are in flight, the oldest is waited for.
                    long passed = 0;
                    while (inFlight.TryPeek(out var oldest)
                        && (oldest.Fence.HasPassed || inFlight.Count >= _plan.Staging.SlotsPerLane))
                    {
                        await oldest.Fence.WaitAsync(cancellationToken).ConfigureAwait(false);
                        passed += oldest.Run.ByteLength;
                        inFlight.Dequeue();
                        _session.RunPlaced(oldest.Run);
                        _gate.Release();
                    }

                    inFlightBytes -= passed;
                    reader.AdvanceTo(result.Buffer.GetPosition(passed), result.Buffer.GetPosition(end));
                }
            }

            while (inFlight.TryDequeue(out var last))
            {
                await last.Fence.WaitAsync(cancellationToken).ConfigureAwait(false);
                _session.RunPlaced(last.Run);
            }
        }
        catch
        {
            // Wakes a reader that waits for a slot which will not come back.
            _gate.Release();
            throw;
        }
    }

    private void PlaceRun(in ReadRun run, ReadOnlySpan<byte> bytes)
    {
        for (var i = run.FirstPlacement; i < run.FirstPlacement + run.PlacementCount; i++)
        {
            var placement = _plan.Placements[i];
            var tensor = _destinations[placement.Tensor];
            var stored = _plan.Tensors[placement.Tensor].Source.DType;
            var position = tensor.ByteOffset + placement.DestinationOffset;
            if (tensor.Memory is HostMemory memory)
            {
                var elements = placement.ByteLength / (long)stored.BlockSize * stored.BlockLength;
                var perElement = tensor.ElementCount / Math.Max(1, _plan.Tensors[placement.Tensor].Source.ElementCount);
                _session.Clock.AddFirstTouch(memory.Populate(position, tensor.DType.ByteCount(elements * perElement)));
            }

            var started = Stopwatch.GetTimestamp();
            _stream.Place(bytes.Slice(placement.RunOffset, placement.ByteLength), stored, tensor.Memory, position, tensor.DType);
            _session.Clock.AddPlacing(Stopwatch.GetElapsedTime(started));
        }
    }
}
