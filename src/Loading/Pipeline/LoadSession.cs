using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// One carrying-out of a plan: starts the lanes, counts what is complete, and ends all of them at the first failure. Does
/// not own the tensors; whoever made <see cref="IDestinations"/> frees them.
/// </summary>
internal sealed class LoadSession
{
    private readonly IDestinations _destinations;
    private readonly IProgress<LoadProgress>? _progress;
    private readonly ManifestCheck? _check;
    private readonly long[] _remaining;
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly Lock _progressLock = new();
    private long _bytesRead;
    private long _directBytes;
    private int _tensorsLoaded;
    private LoadProgress _reported;

    public LoadSession(LoadPlan plan, IDestinations destinations, MappedFiles files, IProgress<LoadProgress>? progress)
    {
        Plan = plan;
        _destinations = destinations;
        Files = files;
        _progress = progress;
        _check = ManifestCheck.Of(plan);
        _remaining = new long[plan.DestinationCount];
        for (var i = 0; i < _remaining.Length; i++)
        {
            _remaining[i] = plan.Device.Kind == DeviceKind.Meta || !plan.IsRead(plan.Destination(i)) ? 0 : plan.Destination(i).SourceByteLength;
        }
    }

    public LoadPlan Plan { get; }

    /// <summary>What lanes read from.</summary>
    public MappedFiles Files { get; }

    public LaneClock Clock { get; } = new();

    public LoadStatistics Statistics => new(
        Plan.Tensors.Length,
        Interlocked.Read(ref _bytesRead),
        Plan.DestinationBytes,
        Stopwatch.GetElapsedTime(_started),
        Clock.FirstTouch,
        Clock.Reading,
        Clock.Hashing,
        Clock.Placing,
        Plan.Staging.Lanes)
    {
        Decoding = Clock.Decoding,
        BytesMapped = Plan.MappedBytes,
        DirectBytes = Interlocked.Read(ref _directBytes),
        IsMapped = Plan.Options.ReadMode == ReadMode.Mapped,
    };

    /// <summary>Carries the plan out.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled; every lane has ended.</exception>
    /// <exception cref="CheckpointException">A file is not what it was; the message names tensor, file and offset.</exception>
    /// <exception cref="IOException">A read failed; the message names tensor, file and offset.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        CompleteUnread();
        if (Plan.Runs.Length > 0)
        {
            Plan.Device.Prepare(Conversions());
            using (new ScatteredReads(Plan))
            {
                await RunLanesAsync(cancellationToken).ConfigureAwait(false);
            }

            await EnsureUnchangedAsync(cancellationToken).ConfigureAwait(false);
        }

        await Files.EnsureUnchangedAsync(cancellationToken).ConfigureAwait(false);
        _check?.ThrowIfDifferent();
        Report();
    }

    /// <summary>What a lane hashes its bytes with, where the plan has a manifest; the lane's to dispose.</summary>
    public RunHasher? CreateHasher() => _check is null ? null : new RunHasher(Plan, _check);

    /// <summary>Counts a placed run, completes the tensors whose last bytes it held, and reports.</summary>
    public async ValueTask RunPlacedAsync(ReadRun run, CancellationToken cancellationToken)
    {
        Interlocked.Add(ref _bytesRead, run.ByteLength);
        for (var i = run.FirstPlacement; i < run.FirstPlacement + run.PlacementCount; i++)
        {
            var placement = Plan.Placements[i];
            if (Interlocked.Add(ref _remaining[placement.Destination], -placement.ByteLength) == 0)
            {
                await CheckBlockAsync(placement.Destination, cancellationToken).ConfigureAwait(false);
                Complete(placement.Destination);
            }
        }

        _destinations.RunDone();
        Report();
    }

    /// <summary>Counts bytes that were read past the page cache, unless the file system has refused by now.</summary>
    public void CountDirect(LocalFileSource file, long bytes)
    {
        if (!file.RefusesDirect)
        {
            Interlocked.Add(ref _directBytes, bytes);
        }
    }

    /// <summary>Says which tensor, file and offset a failure concerns.</summary>
    public Exception Explain(Exception exception, in ReadRun run)
    {
        var offset = exception is InvalidCheckpointException { Offset: { } at } ? at : run.Offset;
        var index = run.FirstPlacement;
        while (index + 1 < run.FirstPlacement + run.PlacementCount && run.Offset + Plan.Placements[index + 1].RunOffset <= offset)
        {
            index++;
        }

        return ReadFailure.Explain(exception, SourceAt(Plan.Placements[index].Destination, offset), offset);
    }

    private IEnumerable<(DType Stored, DType Target)> Conversions()
    {
        for (var i = 0; i < Plan.DestinationCount; i++)
        {
            if (Plan.IsDestination(i) && Plan.Destination(i) is var planned && planned.DType != planned.Source.DType)
            {
                yield return (planned.Source.DType, planned.DType);
            }
        }
    }

    // Of a block the first tensor that has elements there, or around it.
    private TensorInfo SourceAt(int destination, long offset)
    {
        var tensors = Plan.IsBlock(destination) ? Plan.Sharing(destination) : [destination];
        return tensors
            .Select(tensor => Plan.Tensors[tensor].Source)
            .FirstOrDefault(source => offset >= source.DataOffset && offset < source.Offset + (StorageExtent.Of(source).End * source.DType.BlockSize))
            ?? Plan.Tensors[tensors[0]].Source;
    }

    // The time is the lane's that has brought the last bytes; meanwhile the others read on.
    private async ValueTask CheckBlockAsync(int destination, CancellationToken cancellationToken)
    {
        if (_check is not null && Plan.IsBlock(destination))
        {
            var started = Stopwatch.GetTimestamp();
            await BlockHasher
                .CheckAsync(Plan, Plan.Blocks[destination - Plan.Tensors.Length], _destinations[destination], _check, cancellationToken)
                .ConfigureAwait(false);
            Clock.AddHashing(Stopwatch.GetElapsedTime(started));
        }
    }

    // Tensors without elements have no run that could complete them, nor have views of mapped files; on the meta device none has.
    private void CompleteUnread()
    {
        for (var i = 0; i < _remaining.Length; i++)
        {
            if (_remaining[i] == 0 && Plan.IsDestination(i))
            {
                // On the meta device, where blocks are empty too, nothing is checked; and what is checked is read of a mapped file.
                _check?.CheckEmpty(i);
                Complete(i);
            }
        }
    }

    // A tensor that is not what the manifest says is never handed out.
    private void Complete(int destination)
    {
        if (_check?.Differs(destination) == true)
        {
            _destinations.Discard(destination);
            return;
        }

        Interlocked.Add(ref _tensorsLoaded, (Plan.IsBlock(destination) ? 0 : 1) + Plan.Sharing(destination).Length);
        _destinations.Complete(destination);
    }

    private Task RunLanesAsync(CancellationToken cancellationToken) => LaneThreads.RunAsync(
        Plan.Staging.Lanes,
        async (_, token) =>
        {
            var lane = new Lane(this, _destinations);
            await using (lane.ConfigureAwait(false))
            {
                await lane.RunAsync(token).ConfigureAwait(false);
            }
        },
        Plan.Options.StepsBack,
        cancellationToken);

    private async Task EnsureUnchangedAsync(CancellationToken cancellationToken)
    {
        var last = -1;
        foreach (var run in Plan.Runs)
        {
            if (run.File != last)
            {
                last = run.File;
                await Plan.Checkpoint.Files[last].Source.EnsureUnchangedAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    // Lanes report side by side: the lock keeps the counts growing, and reports that are overtaken are left out. The
    // caller's code runs under it so that it, too, sees them in order; it must return soon.
    private void Report()
    {
        if (_progress is null)
        {
            return;
        }

        lock (_progressLock)
        {
            var now = new LoadProgress(
                Interlocked.Read(ref _bytesRead), Plan.BytesToRead, Volatile.Read(ref _tensorsLoaded), Plan.Tensors.Length);
            if (now != _reported)
            {
                _reported = now;
                _progress.Report(now);
            }
        }
    }
}
