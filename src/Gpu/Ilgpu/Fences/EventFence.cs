namespace IlgpuLoader.Gpu;

/// <summary>A fence over a driver's event, which is destroyed when it has passed. Safe for any thread.</summary>
internal abstract class EventFence : Fence
{
    private readonly Lock _lock = new();

    // Who asks or waits for the event just now; it is destroyed behind the last of them.
    private int _users;
    private bool _destroyed;
    private volatile bool _passed;
    private volatile Exception? _failure;
    private Task? _waiting;

    /// <inheritdoc/>
    public sealed override bool HasPassed => (_passed && _failure is null) || Use(IsComplete);

    /// <inheritdoc/>
    /// <remarks>
    /// A pool thread, one a fence, sleeps in the driver, which has no call-back that ILGPU knows of; cancellation leaves it to wake by itself.
    /// </remarks>
    public sealed override ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        if (_failure is { } failure)
        {
            return ValueTask.FromException(failure);
        }

        if (HasPassed)
        {
            return ValueTask.CompletedTask;
        }

        lock (_lock)
        {
            _waiting ??= Task.Run(Wait, CancellationToken.None);
            return new ValueTask(_waiting.WaitAsync(cancellationToken));
        }
    }

    /// <summary>Waits; blocks.</summary>
    public void Wait() => Use(() =>
    {
        WaitForEvent();
        return true;
    });

    /// <summary>Destroys the event of a stream that has ended.</summary>
    /// <param name="failure">Why it never passed, where the stream's work failed; whoever asks or waits from now on gets it.</param>
    public void Abandon(Exception? failure)
    {
        if (!_passed)
        {
            _failure = failure;
        }

        Leave(isComplete: true, users: 0);
    }

    /// <summary>Asks the driver.</summary>
    protected abstract bool IsComplete();

    /// <summary>Blocks until the event is complete.</summary>
    protected abstract void WaitForEvent();

    /// <summary>Destroys the event; called once.</summary>
    protected abstract void DestroyEvent();

    private bool Use(Func<bool> isComplete)
    {
        lock (_lock)
        {
            if (_passed)
            {
                return _failure is null ? true : throw _failure;
            }

            _users++;
        }

        var complete = false;
        try
        {
            complete = isComplete();
        }
        finally
        {
            Leave(complete, users: 1);
        }

        return complete;
    }

    private void Leave(bool isComplete, int users)
    {
        lock (_lock)
        {
            _users -= users;
            _passed |= isComplete;
            if (!_passed || _users > 0 || _destroyed)
            {
                return;
            }

            _destroyed = true;
        }

        DestroyEvent();
    }
}
