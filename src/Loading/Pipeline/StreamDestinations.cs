using System.Threading.Channels;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Tensors that are made when their first run is due and handed out when they are complete, no more at a time than a
/// window of bytes holds.
/// </summary>
/// <remarks>
/// Runs are taken in file order under one lock, so that a tensor's later runs never wait for room that its own
/// completion would make. Where nothing that is under way could make room any more, the window is exceeded: by a tensor
/// larger than it, or by the tensors that share a run with one.
/// </remarks>
internal sealed class StreamDestinations(LoadPlan plan) : IDestinations, IDisposable
{
    private readonly Tensor?[] _tensors = new Tensor?[plan.Tensors.Length];
    private readonly Channel<int> _complete = Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleReader = true });
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly SemaphoreSlim _changed = new(0);
    private readonly Lock _lock = new();
    private int _nextRun;
    private long _heldBytes;
    private int _runsUnderWay;
    private int _waitingForConsumer;

    /// <summary>Indexes of tensors, in the order in which they were completed.</summary>
    public ChannelReader<int> Completed => _complete.Reader;

    public Tensor this[int tensor] => _tensors[tensor] ?? throw new InvalidOperationException("A run was placed before it was taken.");

    public async ValueTask<RunRange> TakeRunsAsync(CancellationToken cancellationToken)
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
                var index = plan.Placements[i].Tensor;
                if (_tensors[index] is null)
                {
                    await WaitForRoomAsync(plan.Tensors[index].ByteLength, cancellationToken).ConfigureAwait(false);
                    _tensors[index] = Allocate(index);
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

    public void Complete(int tensor)
    {
        // A tensor without elements has had no run.
        _tensors[tensor] ??= Allocate(tensor);
        if (_tensors[tensor]!.Memory is HostMemory memory)
        {
            memory.MarkPopulated();
        }

        // The consumer may dispose a tensor as soon as it is announced: those tied to it hold their references before.
        var tied = plan.TiedWith(tensor);
        foreach (var index in tied)
        {
            _tensors[index] = new Tensor(_tensors[tensor]!.Memory, plan.Tensors[index].DType, plan.Tensors[index].Shape);
        }

        lock (_lock)
        {
            _waitingForConsumer += 1 + tied.Length;
        }

        _complete.Writer.TryWrite(tensor);
        foreach (var index in tied)
        {
            _complete.Writer.TryWrite(index);
        }
    }

    public void Discard(int tensor)
    {
        // Nobody will take it: its room is for the tensors behind it. One without elements has never been made.
        if (_tensors[tensor] is { } discarded)
        {
            discarded.Dispose();
            _tensors[tensor] = null;
            lock (_lock)
            {
                _heldBytes -= plan.Tensors[tensor].ByteLength;
            }

            _changed.Release();
        }
    }

    public void RunDone()
    {
        lock (_lock)
        {
            _runsUnderWay--;
        }

        _changed.Release();
    }

    /// <summary>Ends the sequence of completed tensors.</summary>
    public void End(Exception? failure) => _complete.Writer.TryComplete(failure);

    /// <summary>Hands a completed tensor to the consumer, whose it is from now on.</summary>
    public Tensor HandOver(int tensor)
    {
        var handed = this[tensor];
        _tensors[tensor] = null;
        // Tied tensors are announced one after the other: the memory is the consumer's alone with the last of them.
        var tied = plan.TiedWith(plan.Tensors[tensor].TiedTo ?? tensor);
        var isLast = tied.IsEmpty || tied[^1] == tensor;
        lock (_lock)
        {
            _heldBytes -= isLast ? plan.Tensors[tensor].ByteLength : 0;
            _waitingForConsumer--;
        }

        _changed.Release();
        return handed;
    }

    /// <summary>Frees every tensor that was not handed over; no lane runs any more.</summary>
    public void Dispose()
    {
        foreach (var tensor in _tensors)
        {
            tensor?.Dispose();
        }

        _turn.Dispose();
        _changed.Dispose();
    }

    private Tensor Allocate(int index) => Tensor.Empty(plan.Tensors[index].DType, plan.Tensors[index].Shape, plan.Device);

    private async ValueTask WaitForRoomAsync(long bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_lock)
            {
                var fits = _heldBytes + bytes <= plan.Options.StreamWindowBytes;
                if (fits || (_runsUnderWay == 0 && _waitingForConsumer == 0))
                {
                    _heldBytes += bytes;
                    return;
                }
            }

            await _changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
