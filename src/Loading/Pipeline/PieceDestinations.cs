using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Pieces of tensors that are read into memories that are there, and pieces that pass through memory of their own: made when their first run is due, handed on when they are
/// complete, and freed then.
/// </summary>
/// <remarks>No more of those are held at a time than a window of bytes has room for, and one that is larger (<see cref="RunWindow"/>).</remarks>
internal sealed class PieceDestinations : IDestinations, IDisposable
{
    private readonly LoadPlan _plan;
    private readonly Action<int, Tensor> _handOn;
    private readonly Tensor?[] _pieces;
    private readonly RunWindow _window;

    /// <summary>Sees the pieces that have a place.</summary>
    /// <param name="plan">The plan (<see cref="LoadPlanner.PlanPieces"/>).</param>
    /// <param name="memories">The memories that places are in; they stay the caller's.</param>
    /// <param name="windowBytes">The most bytes that pieces without a place take at a time; a single larger one still passes.</param>
    /// <param name="handOn">Called with a piece's index and what was read of it, where it has no place; several threads call it side by side. The tensor is freed when it returns.</param>
    public PieceDestinations(LoadPlan plan, IReadOnlyList<DeviceMemory> memories, long windowBytes, Action<int, Tensor> handOn)
    {
        (_plan, _window, _handOn) = (plan, new RunWindow(plan, windowBytes), handOn);
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

    public ValueTask<RunRange> TakeRunsAsync(CancellationToken cancellationToken) => _window.TakeAsync(
        index => _pieces[index] is null ? _plan.Tensors[index].ByteLength : null,
        index => _pieces[index] = Tensor.Empty(_plan.Tensors[index].DType, _plan.Tensors[index].Shape, _plan.Device),
        cancellationToken);

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
        _window.GiveBack(_plan.Tensors[destination].ByteLength);
    }

    public void Discard(int destination) => throw new InvalidOperationException("Pieces are held against no manifest.");

    public void RunDone() => _window.RunDone();

    /// <summary>Ends what is seen and frees what was not handed on; no lane runs any more.</summary>
    public void Dispose()
    {
        foreach (var piece in _pieces)
        {
            piece?.Dispose();
        }

        _window.Dispose();
    }
}
