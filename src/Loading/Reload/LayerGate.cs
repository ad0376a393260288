using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Readers of a live model's layer on one side, the reload that writes it on the other: any number of leases, or one closure. Safe for any thread.
/// </summary>
/// <remarks>
/// A lease goes in at once unless a closer is there, one that waits for leases to end included: a stream of short leases does not keep a reload out. Between two closers all leases that wait go
/// in: a row of reloads does not keep readers out. Closers come in the order of their calls.
/// </remarks>
/// <param name="time">What measures the waiting.</param>
internal sealed class LayerGate(TimeProvider time)
{
    // Fewer are not worth a look at the device.
    private const int LeastFencesToPrune = 8;

    private readonly Lock _lock = new();
    private readonly LinkedList<Waiter> _waiting = [];
    private readonly LinkedList<Closer> _closers = [];
    private List<Fence> _fences = [];
    private int _pruneAt = LeastFencesToPrune;
    private int _leases;

    /// <summary>Leases that wait; what is cancelled leaves nothing here.</summary>
    internal int WaitingCount
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count;
            }
        }
    }

    /// <summary>Fences that leases ended behind and that were not yet seen to have passed.</summary>
    internal int FenceCount
    {
        get
        {
            lock (_lock)
            {
                return _fences.Count;
            }
        }
    }

    /// <summary>Begins a lease; ends synchronously, without an allocation, where nobody closes. Each is ended by one <see cref="Leave"/> or <see cref="LeaveBehind"/>.</summary>
    /// <param name="cancellationToken">Ends the waiting; there is no lease then.</param>
    public ValueTask EnterAsync(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        Waiter waiter;
        lock (_lock)
        {
            if (_closers.Count == 0)
            {
                _leases++;
                return ValueTask.CompletedTask;
            }

            waiter = new Waiter(this);
            _waiting.AddLast(waiter.Node);
        }

        return waiter.WaitAsync(cancellationToken);
    }

    /// <summary>Ends a lease.</summary>
    public void Leave()
    {
        lock (_lock)
        {
            EndOne();
        }
    }

    /// <summary>Ends a lease whose reader has given work to a device: it is over as soon as the device has passed the fence.</summary>
    /// <param name="fence">The fence behind the work.</param>
    public void LeaveBehind(Fence fence)
    {
        lock (_lock)
        {
            if (fence != Fence.Passed)
            {
                _fences.Add(fence);
            }

            EndOne();
            if (_fences.Count >= _pruneAt && _closers.Count == 0)
            {
                // Without it a model that is never reloaded would keep every fence of its life. Into a new list, since a device that has failed may throw here.
                _fences = _fences.FindAll(kept => !kept.HasPassed);
                _pruneAt = Math.Max(LeastFencesToPrune, 2 * _fences.Count);
            }
        }
    }

    /// <summary>
    /// Lets nobody in from now on, and waits until the leases that are there are over and the device has passed the fences that they ended behind.
    /// </summary>
    /// <param name="timeout">How long it waits for them at most, behind earlier closers; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Ends the waiting; the gate is open then.</param>
    /// <returns>What opens the gate when it is disposed; null where it took too long, and the gate is open.</returns>
    public async ValueTask<Closure?> CloseAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var closer = new Closer();
        lock (_lock)
        {
            _closers.AddLast(closer.Node);
            if (_closers.Count == 1)
            {
                BeginTurn(closer);
            }
        }

        var isClosed = false;
        try
        {
            await closer.Turn.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            isClosed = await DrainAsync(closer, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (!isClosed)
            {
                Open(closer);
            }
        }

        return isClosed ? new Closure(this, closer) : null;
    }

    private async ValueTask<bool> DrainAsync(Closer closer, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (closer.Drained.Task.IsCompleted && HaveFencesPassed())
        {
            return true;
        }

        using var timer = new CancellationTokenSource(timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            await closer.Drained.Task.WaitAsync(both.Token).ConfigureAwait(false);
            // No lease is there, so that no fence comes behind these.
            foreach (var fence in _fences)
            {
                await fence.WaitAsync(both.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (both.IsCancellationRequested)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return false;
        }

        lock (_lock)
        {
            _fences.Clear();
        }

        return true;
    }

    private bool HaveFencesPassed()
    {
        lock (_lock)
        {
            if (!_fences.TrueForAll(fence => fence.HasPassed))
            {
                return false;
            }

            _fences.Clear();
            return true;
        }
    }

    private void Open(Closer closer)
    {
        lock (_lock)
        {
            if (closer.Node.List is null)
            {
                return;
            }

            var wasFirst = _closers.First == closer.Node;
            _closers.Remove(closer.Node);
            if (!wasFirst)
            {
                return;
            }

            // Before the next closer's turn, so that these are among the leases it waits for.
            foreach (var waiter in _waiting)
            {
                _leases++;
                waiter.Entered.TrySetResult();
            }

            _waiting.Clear();
            if (_closers.First is { } next)
            {
                BeginTurn(next.Value);
            }
        }
    }

    private void BeginTurn(Closer closer)
    {
        if (_leases == 0)
        {
            closer.Drained.TrySetResult();
        }

        closer.Turn.TrySetResult();
    }

    private void EndOne()
    {
        _leases--;
        if (_leases == 0 && _closers.First is { } closer)
        {
            closer.Value.Drained.TrySetResult();
        }
    }

    /// <summary>Keeps a gate closed until it is disposed; safe to dispose again.</summary>
    internal sealed class Closure(LayerGate gate, Closer closer) : IDisposable
    {
        /// <summary>Opens the gate.</summary>
        public void Dispose() => gate.Open(closer);
    }

    /// <summary>A reload that closes or has closed.</summary>
    internal sealed class Closer
    {
        public Closer() => Node = new LinkedListNode<Closer>(this);

        public LinkedListNode<Closer> Node { get; }

        // Continuations run elsewhere, because these are set under the lock.
        public TaskCompletionSource Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Drained { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Waiter
    {
        private readonly LayerGate _gate;

        public Waiter(LayerGate gate)
        {
            _gate = gate;
            Node = new LinkedListNode<Waiter>(this);
        }

        public LinkedListNode<Waiter> Node { get; }

        public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async ValueTask WaitAsync(CancellationToken cancellationToken)
        {
            var registration = cancellationToken.UnsafeRegister(static (state, token) => ((Waiter)state!).Cancel(token), this);
            await using (registration.ConfigureAwait(false))
            {
                await Entered.Task.ConfigureAwait(false);
            }
        }

        private void Cancel(CancellationToken token)
        {
            lock (_gate._lock)
            {
                if (Node.List is null)
                {
                    return;
                }

                _gate._waiting.Remove(Node);
            }

            Entered.TrySetCanceled(token);
        }
    }
}
