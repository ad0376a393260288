using System.Runtime.ExceptionServices;
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
    private readonly List<Fence> _fences = [];
    private Exception? _failure;
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

    /// <summary>Ends a lease whose reader has given work to a device: it is over as soon as the device has passed the fence. A fence that fails is said by the next closing.</summary>
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
                // Without it a model that is never reloaded would keep every fence of its life.
                Prune();
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
    /// <remarks>
    /// What a fence throws is thrown here, and the gate is open then. Once: nobody will ever know more of that fence, and whoever closes next finds it gone. Of several that fail alike between two closings the first is said.
    /// </remarks>
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
        // Fences are looked at, and what they threw is said, whether or not there are leases to wait for.
        if (HaveFencesPassed() && closer.Drained.Task.IsCompleted)
        {
            return true;
        }

        using var timer = new CancellationTokenSource(timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            await closer.Drained.Task.WaitAsync(both.Token).ConfigureAwait(false);
            // No lease is there, so that no fence comes behind these.
            while (FirstFence() is { } fence)
            {
                await WaitAsync(fence, both.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (both.IsCancellationRequested)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return false;
        }

        return true;
    }

    private Fence? FirstFence()
    {
        lock (_lock)
        {
            return _fences.Count == 0 ? null : _fences[0];
        }
    }

    // One that is waited for in vain is waited for again by the next closer.
    private async ValueTask WaitAsync(Fence fence, CancellationToken cancellationToken)
    {
        var isOver = false;
        try
        {
            await fence.WaitAsync(cancellationToken).ConfigureAwait(false);
            isOver = true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            isOver = true;
            throw;
        }
        finally
        {
            if (isOver)
            {
                lock (_lock)
                {
                    _ = _fences.Remove(fence);
                }
            }
        }
    }

    private bool HaveFencesPassed()
    {
        Exception? failure;
        lock (_lock)
        {
            Prune();
            (failure, _failure) = (_failure, null);
            if (failure is null)
            {
                return _fences.Count == 0;
            }
        }

        ExceptionDispatchInfo.Throw(failure);
        return false;
    }

    // A device that has failed throws here. Whoever ends a lease can do nothing about it: the next closer is told.
    private void Prune() => _fences.RemoveAll(fence =>
    {
        try
        {
            return fence.HasPassed;
        }
        catch (Exception exception)
        {
            _failure ??= exception;
            return true;
        }
    });

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
