using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Threading.Channels;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// One reader with its pipe, its staging slots and its device stream. Runs that need no decoding on the host are read
/// straight into their place, those of a mapped file are decoded from there; the others are read into a slot and handed through the pipe to the stream, and the slot
/// comes back behind the stream's fence.
/// </summary>
/// <remarks>
/// The pipe carries the bytes, a channel beside it carries which run they are: one advance and one flush a run, a
/// staged run never longer than a slot. A gate counts slots before one is asked for, because a pipe's own threshold counts bytes and
/// half-filled slots would let it rent far more memory than the cap. Both continue inline: on the host the reading thread
/// itself decodes the slot it has just filled, while it is in that core's cache.
/// </remarks>
internal sealed class Lane : IAsyncDisposable
{
    private readonly LoadSession _session;
    private readonly IDestinations _destinations;
    private readonly LoadPlan _plan;
    private readonly DeviceStream _stream;
    private readonly RunPlacer _placer;
    private readonly StagingPool? _pool;
    private readonly Pipe? _pipe;
    private readonly SemaphoreSlim _gate;
    private readonly RunHasher? _hasher;
    private readonly InPlaceReader _inPlace;
    private readonly Channel<StagedRun> _runs = Channel.CreateUnbounded<StagedRun>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true, AllowSynchronousContinuations = true });

    // The placing side's own: runs whose slots the device may still be reading.
    private readonly Queue<(StagedRun Staged, Fence Fence)> _inFlight = new();
    private long _inFlightBytes;

    public Lane(LoadSession session, IDestinations destinations)
    {
        _session = session;
        _destinations = destinations;
        _plan = session.Plan;
        var staging = _plan.Staging;
        _gate = new SemaphoreSlim(Math.Max(1, staging.SlotsPerLane));
        _stream = _plan.Device.CreateStream();
        _placer = new RunPlacer(_plan, destinations, _stream, session.Clock);
        _hasher = session.CreateHasher();
        _inPlace = new InPlaceReader(session, destinations, _hasher, RentAsync);
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
            _hasher?.Dispose();
            _stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads and places runs until there are no more.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var placing = _pipe is null ? Task.CompletedTask : PlaceRunsAsync(_pipe.Reader, stop);
        try
        {
            await ReadRunsAsync(stop.Token).ConfigureAwait(false);
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
            _hasher?.Dispose();
        }
    }

    private async Task ReadRunsAsync(CancellationToken cancellationToken)
    {
        RunRange taken;
        while ((taken = await _destinations.TakeRunsAsync(cancellationToken).ConfigureAwait(false)).Count > 0)
        {
            for (var i = taken.First; i < taken.First + taken.Count; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await ReadRunAsync(_plan.Runs[i], cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask ReadRunAsync(ReadRun run, CancellationToken cancellationToken)
    {
        try
        {
            if (run.IsInPlace)
            {
                await _inPlace.ReadAsync(run, cancellationToken).ConfigureAwait(false);
            }
            else if (run.Kind == RunKind.Mapped)
            {
                PlaceFromMapping(run);
            }
            else
            {
                await ReadIntoSlotAsync(run, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (run.Kind != RunKind.Viewed && exception is IOException or InvalidCheckpointException { Tensor: null })
        {
            // A view's reader says itself which of its reads it was.
            throw _session.Explain(exception, run);
        }

        if (!run.IsStaged)
        {
            await _session.RunPlacedAsync(run, cancellationToken).ConfigureAwait(false);
        }
    }

    // A slot for reads that do not go through the pipe. It counts with the others; the gate opens again when it is disposed.
    private async ValueTask<IMemoryOwner<byte>> RentAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new GatedSlot(_pool!.Rent(), _gate);
    }

    // On the host, whose stream has done its work when it returns: the mapping need not outlast the run.
    private void PlaceFromMapping(in ReadRun run)
    {
        var started = Stopwatch.GetTimestamp();
        var bytes = _session.Files.Read(run);
        _session.Clock.AddReading(Stopwatch.GetElapsedTime(started));
        if (_hasher is not null)
        {
            started = Stopwatch.GetTimestamp();
            _hasher.AppendRun(run, bytes);
            _session.Clock.AddHashing(Stopwatch.GetElapsedTime(started));
        }

        if (!_plan.Destination(_plan.Placements[run.FirstPlacement].Destination).IsMapped)
        {
            _placer.Place(run, bytes);
            _session.Files.Forget(run);
        }
    }

    private async ValueTask ReadIntoSlotAsync(ReadRun run, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        // A whole slot is asked for each time, so that what is left of the last one is never used: one run, one slot.
        var memory = _pipe!.Writer.GetMemory(_plan.Staging.SlotBytes);
        var slot = memory[..run.ByteLength];
        var begin = 0;
        var source = _session.Files.SourceOf(run.File);
        var started = Stopwatch.GetTimestamp();
        if (run.Kind == RunKind.Gathered)
        {
            await GatherAsync(source, run, slot, cancellationToken).ConfigureAwait(false);
        }
        else if (run.Kind == RunKind.Viewed)
        {
            var placement = _plan.Placements[run.FirstPlacement];
            var planned = _plan.Tensors[placement.Destination];
            var first = planned.FirstElementAt(placement.DestinationOffset);
            var readsExactly = planned.Slice is not null && _plan.Options.ExactSlices;
            await StridedReader
                .ReadAsync(_session.Files.Of(planned.Part, run.File), first, slot, readsExactly, cancellationToken).ConfigureAwait(false);
        }
        else if (_plan.DirectFileOf(run) is { } file)
        {
            begin = file.ReadExactlyDirect(run.Offset, run.ByteLength, memory.Span);
            slot = memory.Slice(begin, run.ByteLength);
            _session.CountDirect(file, run.ByteLength);
        }
        else
        {
            await source.ReadExactlyAsync(run.Offset, slot, cancellationToken).ConfigureAwait(false);
        }

        _session.Clock.AddReading(Stopwatch.GetElapsedTime(started));
        if (run.Kind == RunKind.Sieved)
        {
            started = Stopwatch.GetTimestamp();
            MoveTogether(SegmentsOf(run), slot.Span);
            _session.Clock.AddPlacing(Stopwatch.GetElapsedTime(started));
        }

        if (_hasher is not null)
        {
            started = Stopwatch.GetTimestamp();
            _hasher.AppendRun(run, slot.Span);
            _session.Clock.AddHashing(Stopwatch.GetElapsedTime(started));
        }

        var staged = new StagedRun(run, begin);
        _pipe.Writer.Advance(staged.ByteLength);
        _runs.Writer.TryWrite(staged);
        await _pipe.Writer.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask GatherAsync(IByteSource source, ReadRun run, Memory<byte> slot, CancellationToken cancellationToken)
    {
        var segments = SegmentsOf(run);
        var offset = run.Offset;
        for (var rest = slot; !rest.IsEmpty; rest = rest[(int)segments.ByteLength..])
        {
            cancellationToken.ThrowIfCancellationRequested();
            await source.ReadExactlyAsync(offset, rest[..(int)segments.ByteLength], cancellationToken).ConfigureAwait(false);
            offset += segments.StrideBytes;
        }
    }

    // A run with segments is of one tensor.
    private SliceSegments SegmentsOf(in ReadRun run) => _plan.Tensors[_plan.Placements[run.FirstPlacement].Destination].Segments;

    // On the host, while the slot is in the cache of the core that has read it: the device gets whole segments side by side.
    private static void MoveTogether(in SliceSegments segments, Span<byte> slot)
    {
        var (length, stride) = ((int)segments.ByteLength, (int)segments.StrideBytes);
        var to = length;
        for (var from = stride; from < slot.Length; from += stride)
        {
            slot.Slice(from, length).CopyTo(slot[to..]);
            to += length;
        }
    }

    private async Task PlaceRunsAsync(PipeReader reader, CancellationTokenSource stop)
    {
        try
        {
            while (await WaitForRunAsync(reader, stop.Token).ConfigureAwait(false))
            {
                while (_runs.Reader.TryRead(out var staged))
                {
                    var end = checked((int)(_inFlightBytes + staged.ByteLength));
                    var result = await reader.ReadAtLeastAsync(end, stop.Token).ConfigureAwait(false);
                    var bytes = result.Buffer.Slice(_inFlightBytes, staged.ByteLength).FirstSpan;
                    Debug.Assert(bytes.Length == staged.ByteLength, "A run fills one slot.");
                    _placer.Place(staged.Run, bytes[staged.Begin..]);
                    _inFlight.Enqueue((staged, _stream.Record()));
                    _inFlightBytes = end;
                    await GiveBackAsync(reader, result.Buffer, stop.Token).ConfigureAwait(false);
                }
            }
        }
        catch
        {
            // Wakes a reader that waits for a slot, or for room in a window, that will not come.
            await stop.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }

    // Waits for a run to place; false when there are no more and none is in flight. What is in flight meanwhile is completed
    // as its fences pass: the reader may itself be waiting for the room that those tensors take.
    private async ValueTask<bool> WaitForRunAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        if (_inFlight.Count == 0)
        {
            return await _runs.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
        }

        var more = _runs.Reader.WaitToReadAsync(cancellationToken).AsTask();
        while (_inFlight.TryPeek(out var oldest))
        {
            var passed = oldest.Fence.WaitAsync(cancellationToken).AsTask();
            if (!more.IsCompleted)
            {
                await Task.WhenAny(more, passed).ConfigureAwait(false);
            }

            if (more.IsCompleted && await more.ConfigureAwait(false))
            {
                return true;
            }

            await passed.ConfigureAwait(false);
            var result = await reader.ReadAtLeastAsync((int)_inFlightBytes, cancellationToken).ConfigureAwait(false);
            await GiveBackAsync(reader, result.Buffer, cancellationToken).ConfigureAwait(false);
        }

        return await more.ConfigureAwait(false);
    }

    // Slots whose work the device has passed go back. If all are in flight, the oldest is waited for.
    private async ValueTask GiveBackAsync(PipeReader reader, ReadOnlySequence<byte> buffer, CancellationToken cancellationToken)
    {
        long passed = 0;
        var slots = 0;
        while (_inFlight.TryPeek(out var oldest) && (oldest.Fence.HasPassed || _inFlight.Count >= _plan.Staging.SlotsPerLane))
        {
            await oldest.Fence.WaitAsync(cancellationToken).ConfigureAwait(false);
            _ = _inFlight.Dequeue();
            await _session.RunPlacedAsync(oldest.Staged.Run, cancellationToken).ConfigureAwait(false);
            passed += oldest.Staged.ByteLength;
            slots++;
        }

        _inFlightBytes -= passed;
        // What is in flight counts as not examined, so that it can be looked at again without new bytes.
        reader.AdvanceTo(buffer.GetPosition(passed));
        if (slots > 0)
        {
            // Behind the slots' return: the reader asks for one at once.
            _ = _gate.Release(slots);
        }
    }

    // A run in its slot: a direct read brings what lies before it in its first block.
    private readonly record struct StagedRun(ReadRun Run, int Begin)
    {
        // What the pipe carries of the slot.
        public int ByteLength => Begin + Run.KeptByteLength;
    }

    private sealed class GatedSlot(IMemoryOwner<byte> slot, SemaphoreSlim gate) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory => slot.Memory;

        public void Dispose()
        {
            slot.Dispose();
            _ = gate.Release();
        }
    }
}
