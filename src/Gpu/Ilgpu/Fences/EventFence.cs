namespace IlgpuLoader.Gpu;

/// <summary>A fence over a driver's event, which is destroyed when it has passed. Safe for any thread.</summary>
internal abstract class EventFence : Fence
{
    // Whoever waits holds it, so that nobody destroys the event meanwhile.
    private readonly Lock _lock = new();
    private volatile bool _passed;

    /// <inheritdoc/>
    public sealed override bool HasPassed
    {
        get
        {
            if (_passed)
            {
                return true;
            }

            // Somebody waits for it: it has not passed.
            if (!_lock.TryEnter())
            {
                return false;
            }

            try
            {
                if (!_passed && IsComplete())
                {
                    End();
                }

                return _passed;
            }
            finally
            {
                _lock.Exit();
            }
        }
    }

    /// <inheritdoc/>
    /// <remarks>A pool thread sleeps in the driver, which has no call-back that ILGPU knows of; cancellation leaves it to wake by itself.</remarks>
    public sealed override ValueTask WaitAsync(CancellationToken cancellationToken = default) => HasPassed
        ? ValueTask.CompletedTask
        : new ValueTask(Task.Run(Wait, CancellationToken.None).WaitAsync(cancellationToken));

    /// <summary>Waits; blocks.</summary>
    public void Wait()
    {
        lock (_lock)
        {
            if (!_passed)
            {
                WaitForEvent();
                End();
            }
        }
    }

    /// <summary>Destroys the event of a stream that has ended, whether it has passed or, after a failure, never will.</summary>
    public void Abandon()
    {
        lock (_lock)
        {
            if (!_passed)
            {
                End();
            }
        }
    }

    /// <summary>Asks the driver.</summary>
    protected abstract bool IsComplete();

    /// <summary>Blocks until the event is complete.</summary>
    protected abstract void WaitForEvent();

    /// <summary>Destroys the event; called once.</summary>
    protected abstract void DestroyEvent();

    private void End()
    {
        _passed = true;
        DestroyEvent();
    }
}
