namespace IlgpuLoader.Hosting;

/// <summary>Tells those who follow models that one has changed. Costs next to nothing where nobody follows. Safe for any thread.</summary>
internal sealed class StatusFeed
{
    private readonly Lock _lock = new();
    private TaskCompletionSource<bool>? _next;
    private long _sequence;
    private bool _isEnded;

    /// <summary>Counts changes.</summary>
    public long Sequence => Volatile.Read(ref _sequence);

    /// <summary>Says that something has changed.</summary>
    public void Announce()
    {
        TaskCompletionSource<bool>? waiting;
        lock (_lock)
        {
            _sequence++;
            (waiting, _next) = (_next, null);
        }

        waiting?.TrySetResult(true);
    }

    /// <summary>Says that there will be no more changes.</summary>
    public void End()
    {
        TaskCompletionSource<bool>? waiting;
        lock (_lock)
        {
            _isEnded = true;
            (waiting, _next) = (_next, null);
        }

        waiting?.TrySetResult(false);
    }

    /// <summary>Waits for a change after another.</summary>
    /// <param name="seen">The number of the last change that is known.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>False where there will be none.</returns>
    public Task<bool> WaitAsync(long seen, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_isEnded || _sequence != seen)
            {
                return Task.FromResult(!_isEnded);
            }

            _next ??= new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            return _next.Task.WaitAsync(cancellationToken);
        }
    }
}
