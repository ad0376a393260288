namespace IlgpuLoader.Loading;

/// <summary>
/// The runs of a plan, taken in file order under one lock, and the room for what they begin: no more bytes at a time than a window has, and a single larger one. Safe for any
/// thread.
/// </summary>
/// <remarks>
/// Under one lock, so that a tensor's later runs never wait for room that its own completion would make. Where nothing that is under way could make room any more, the window
/// is exceeded.
/// </remarks>
/// <param name="plan">The plan.</param>
/// <param name="windowBytes">The bytes that there is room for.</param>
internal sealed class RunWindow(LoadPlan plan, long windowBytes) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly SemaphoreSlim _changed = new(0);
    private readonly Lock _lock = new();
    private int _nextRun;
    private long _heldBytes;
    private int _runsUnderWay;
    private int _waitingForConsumer;

    /// <summary>Takes the next runs, once there is room for what they begin.</summary>
    /// <param name="bytesToBegin">The bytes that a destination takes which these runs would begin; null for one that has begun, or takes none of the window.</param>
    /// <param name="begin">Makes it.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The runs, or none when there are no more.</returns>
    public async ValueTask<RunRange> TakeAsync(Func<int, long?> bytesToBegin, Action<int> begin, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var taken = plan.RunsFrom(_nextRun);
            if (taken.Count == 0)
            {
                return taken;
            }

            // Runs that are taken together begin no tensor that the first does not.
            var run = plan.Runs[taken.First];
            for (var i = run.FirstPlacement; i < run.FirstPlacement + run.PlacementCount; i++)
            {
                var index = plan.Placements[i].Destination;
                if (bytesToBegin(index) is { } bytes)
                {
                    await WaitForRoomAsync(bytes, cancellationToken).ConfigureAwait(false);
                    begin(index);
                }
            }

            lock (_lock)
            {
                _runsUnderWay += taken.Count;
            }

            _nextRun += taken.Count;
            return taken;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>A run is placed.</summary>
    public void RunDone()
    {
        lock (_lock)
        {
            _runsUnderWay--;
        }

        _changed.Release();
    }

    /// <summary>Tensors are complete and wait for a consumer, who makes room when he takes them.</summary>
    public void Await(int tensors)
    {
        lock (_lock)
        {
            _waitingForConsumer += tensors;
        }
    }

    /// <summary>Gives room back.</summary>
    /// <param name="bytes">How much.</param>
    /// <param name="isTaken">Whether a consumer has taken a tensor that was waiting for him.</param>
    public void GiveBack(long bytes, bool isTaken = false)
    {
        lock (_lock)
        {
            _heldBytes -= bytes;
            _waitingForConsumer -= isTaken ? 1 : 0;
        }

        _changed.Release();
    }

    /// <summary>Frees what waiting takes; no lane runs any more.</summary>
    public void Dispose()
    {
        _turn.Dispose();
        _changed.Dispose();
    }

    private async ValueTask WaitForRoomAsync(long bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_lock)
            {
                if (_heldBytes + bytes <= windowBytes || (_runsUnderWay == 0 && _waitingForConsumer == 0))
                {
                    _heldBytes += bytes;
                    return;
                }
            }

            await _changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
