using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>Counts the leases of tensors that are freed as a whole, and tells when the last is over. Safe for any thread.</summary>
internal sealed class LeaseCount
{
    // Fences that have passed are forgotten when there are this many: few enough to cost nothing, many enough that it is seldom done.
    private const int FencesToPrune = 32;

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Fence> _fences = [];
    private int _pruneAt = FencesToPrune;
    private long _leases;
    private bool _isClosed;

    /// <summary>Begins a lease, which one <see cref="Leave"/> or <see cref="LeaveBehind"/> ends.</summary>
    /// <returns>False where it is closed.</returns>
    public bool TryEnter()
    {
        lock (_lock)
        {
            _leases += _isClosed ? 0 : 1;
            return !_isClosed;
        }
    }

    /// <summary>Ends a lease.</summary>
    public void Leave()
    {
        lock (_lock)
        {
            EndOne();
        }
    }

    /// <summary>Ends a lease as soon as the device has passed a fence.</summary>
    public void LeaveBehind(Fence fence)
    {
        lock (_lock)
        {
            if (fence != Fence.Passed)
            {
                _fences.Add(fence);
            }

            if (_fences.Count >= _pruneAt)
            {
                // Without it a model that is never freed would keep every fence of its life.
                _fences.RemoveAll(HasPassed);
                _pruneAt = Math.Max(FencesToPrune, 2 * _fences.Count);
            }

            EndOne();
        }
    }

    /// <summary>Lets nobody in from now on, and ends when the leases are over and the device has passed the fences behind them.</summary>
    /// <exception cref="Exception">What a fence throws; all of them were waited for.</exception>
    public async Task CloseAsync()
    {
        lock (_lock)
        {
            _isClosed = true;
            if (_leases == 0)
            {
                _empty.TrySetResult();
            }
        }

        await _empty.Task.ConfigureAwait(false);
        // Nobody adds any more.
        await Task.WhenAll(_fences.Select(fence => fence.WaitAsync(CancellationToken.None).AsTask())).ConfigureAwait(false);
    }

    // One that fails is kept: whoever closes is told.
    private static bool HasPassed(Fence fence)
    {
        try
        {
            return fence.HasPassed;
        }
        catch (Exception)
        {
            return false;
        }
    }

    private void EndOne()
    {
        if (--_leases == 0 && _isClosed)
        {
            _empty.TrySetResult();
        }
    }
}
