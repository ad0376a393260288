using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Pieces of tensors that are read into memories that are there, and pieces that pass through memory of their own: made when their first run is due, handed on when they are
/// complete, and freed then.
/// </summary>
/// <remarks>
/// No more of those are held at a time than a window of bytes has room for, and one that is larger. Runs are taken in file order under one lock, so that a piece's later runs never wait for room
/// that its own completion would make.
/// </remarks>
internal sealed class PieceDestinations : IDestinations, IDisposable
{
    private readonly LoadPlan _plan;
    private readonly long _windowBytes;
    private readonly Action<int, Tensor> _handOn;
    private readonly Tensor?[] _pieces;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly SemaphoreSlim _changed = new(0);
    private readonly Lock _lock = new();
    private int _nextRun;
    private long _heldBytes;
    private int _runsUnderWay;

    /// <summary>Sees the pieces that have a place.</summary>
    /// <param name="plan">The plan (<see cref="LoadPlanner.PlanPieces"/>).</param>
    /// <param name="memories">The memories that places are in; they stay the caller's.</param>
    /// <param name="windowBytes">The most bytes that pieces without a place take at a time; a single larger one still passes.</param>
    /// <param name="handOn">Called with a piece's index and what was read of it, where it has no place; several threads call it side by side. The tensor is freed when it returns.</param>
    public PieceDestinations(LoadPlan plan, IReadOnlyList<DeviceMemory> memories, long windowBytes, Action<int, Tensor> handOn)
    {
        (_plan, _windowBytes, _handOn) = (plan, windowBytes, handOn);
        _pieces = new Tensor?[plan.Tensors.Length];
        try
        {
            for (var i = 0; i < _pieces.Length; i++)
            {
                var planned = plan.Tensors[i];
                if (planned.Slab is { } place)
                {
                    _pieces[i] = new Tensor(memories[place.Slab], planned.DType, planned.Shape, default, place.ByteOffset);
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public Tensor this[int destination] => _pieces[destination] ?? throw new InvalidOperationException("A run was placed before it was taken.");

    public async ValueTask<RunRange> TakeRunsAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var taken = _plan.RunsFrom(_nextRun);
            if (taken.Count == 0)
            {
                return taken;
            }

            var run = _plan.Runs[taken.First];
            for (var i = run.FirstPlacement; i < run.FirstPlacement + run.PlacementCount; i++)
            {
                var index = _plan.Placements[i].Destination;
                if (_pieces[index] is null)
                {
                    var planned = _plan.Tensors[index];
                    await WaitForRoomAsync(planned.ByteLength, cancellationToken).ConfigureAwait(false);
                    _pieces[index] = Tensor.Empty(planned.DType, planned.Shape, _plan.Device);
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

    public void Complete(int destination)
    {
        // Without elements it has had no run, and nothing is to be handed on.
        if (_plan.Tensors[destination].Slab is not null || _pieces[destination] is not { } piece)
        {
            return;
        }

        _handOn(destination, piece);
        _pieces[destination] = null;
        piece.Dispose();
        lock (_lock)
        {
            _heldBytes -= _plan.Tensors[destination].ByteLength;
        }

        _changed.Release();
    }

    public void Discard(int destination) => throw new InvalidOperationException("Pieces are held against no manifest.");

    public void RunDone()
    {
        lock (_lock)
        {
            _runsUnderWay--;
        }

        _changed.Release();
    }

    /// <summary>Ends what is seen and frees what was not handed on; no lane runs any more.</summary>
    public void Dispose()
    {
        foreach (var piece in _pieces)
        {
            piece?.Dispose();
        }

        _turn.Dispose();
        _changed.Dispose();
    }

    private async ValueTask WaitForRoomAsync(long bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_lock)
            {
                // Where nothing under way could make room, the window is exceeded.
                if (_heldBytes + bytes <= _windowBytes || _runsUnderWay == 0)
                {
                    _heldBytes += bytes;
                    return;
                }
            }

            await _changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
