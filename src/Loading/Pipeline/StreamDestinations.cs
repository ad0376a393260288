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
/// larger than it, or by the tensors that share a run with one. Views of mapped files take no room: they are all there at once.
/// </remarks>
internal sealed class StreamDestinations(LoadPlan plan, MappedFiles files) : IDestinations, IDisposable
{
    // Those of the plan, and behind them the memory of each block as one row, until its tensors are made.
    private readonly Tensor?[] _tensors = new Tensor?[plan.DestinationCount];
    private readonly Channel<int> _complete = Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleReader = true });
    private readonly RunWindow _window = new(plan, plan.Options.StreamWindowBytes);

    /// <summary>Indexes of tensors, in the order in which they were completed.</summary>
    public ChannelReader<int> Completed => _complete.Reader;

    public Tensor this[int destination] => _tensors[destination] ?? throw new InvalidOperationException("A run was placed before it was taken.");

    public ValueTask<RunRange> TakeRunsAsync(CancellationToken cancellationToken) => _window.TakeAsync(
        index => _tensors[index] is null ? LoadPlan.OwnBytes(plan.Destination(index)) : null,
        index => _tensors[index] = Allocate(index),
        cancellationToken);

    public void Complete(int destination)
    {
        // A tensor without elements, or one of a mapped file, has had no run.
        var complete = _tensors[destination] ??= Allocate(destination);

        // The consumer may dispose a tensor as soon as it is announced: those that share its memory hold their references before.
        var (sharing, isBlock) = (plan.Sharing(destination), plan.IsBlock(destination));
        foreach (var index in sharing)
        {
            var planned = plan.Tensors[index];
            _tensors[index] = isBlock ? planned.ViewOf(complete) : new Tensor(complete.Memory, planned.DType, planned.Shape);
        }

        if (isBlock)
        {
            _tensors[destination] = null;
            complete.Dispose();
        }

        _window.Await((isBlock ? 0 : 1) + sharing.Length);

        if (!isBlock)
        {
            _complete.Writer.TryWrite(destination);
        }

        foreach (var index in sharing)
        {
            _complete.Writer.TryWrite(index);
        }
    }

    public void Discard(int destination)
    {
        // Nobody will take it: its room is for the tensors behind it. One without elements has never been made.
        if (_tensors[destination] is { } discarded)
        {
            discarded.Dispose();
            _tensors[destination] = null;
            _window.GiveBack(LoadPlan.OwnBytes(plan.Destination(destination)));
        }
    }

    public void RunDone() => _window.RunDone();

    /// <summary>Ends the sequence of completed tensors.</summary>
    public void End(Exception? failure) => _complete.Writer.TryComplete(failure);

    /// <summary>Hands a completed tensor to the consumer, whose it is from now on.</summary>
    public Tensor HandOver(int tensor)
    {
        var handed = this[tensor];
        _tensors[tensor] = null;
        // Tensors that share memory are announced one after the other: it is the consumer's alone with the last of them.
        var destination = plan.DestinationOf(tensor);
        var sharing = plan.Sharing(destination);
        var isLast = sharing.IsEmpty || sharing[^1] == tensor;
        _window.GiveBack(isLast ? LoadPlan.OwnBytes(plan.Destination(destination)) : 0, isTaken: true);
        return handed;
    }

    /// <summary>Frees every tensor that was not handed over; no lane runs any more.</summary>
    public void Dispose()
    {
        foreach (var tensor in _tensors)
        {
            tensor?.Dispose();
        }

        _window.Dispose();
    }

    private Tensor Allocate(int index) => files.Allocate(plan.Destination(index), plan.Device);
}
