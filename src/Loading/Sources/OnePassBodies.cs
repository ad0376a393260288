namespace IlgpuLoader.Loading;

/// <summary>
/// The bodies that <see cref="OnePassSource"/>s keep open between reads: only so many at once, whatever number of files a checkpoint has. Where one more is wanted, the one that was read longest ago is closed; its source asks for it
/// again when it is read again. Safe for any thread.
/// </summary>
/// <param name="connections">The connections of all remote files.</param>
internal sealed class OnePassBodies(int connections)
{
    // As many files as lanes read at the same time, or each would begin anew for every piece of another.
    private const int Least = 8;

    private readonly Lock _lock = new();

    // Open and not being read; the one that was read longest ago is first.
    private readonly LinkedList<OnePassSource> _idle = new();
    private readonly Queue<TaskCompletionSource> _waiting = new();
    private int _free = Math.Max(connections, Least);

    /// <summary>Waits until a source may read its body, or open one.</summary>
    /// <param name="source">The source; one call at a time.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>What ends the reading when it is disposed.</returns>
    public async ValueTask<IDisposable> TakeAsync(OnePassSource source, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        TaskCompletionSource? turn = null;
        Stream? closed = null;
        lock (_lock)
        {
            if (_idle.Remove(source))
            {
                // It is open already.
            }
            else if (_free > 0)
            {
                _free--;
            }
            else if (_idle.First is { } longest)
            {
                _idle.Remove(longest);
                closed = longest.Value.TakeBody();
            }
            else
            {
                _waiting.Enqueue(turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            }
        }

        if (closed is not null)
        {
            await closed.DisposeAsync().ConfigureAwait(false);
        }

        if (turn is not null)
        {
            using var registration = cancellationToken.UnsafeRegister(waiting => ((TaskCompletionSource)waiting!).TrySetCanceled(), turn);
            await turn.Task.ConfigureAwait(false);
        }

        return new Reading(this, source);
    }

    /// <summary>Leaves out a source that is not read any more; its body is its own.</summary>
    /// <param name="source">The source.</param>
    public void Forget(OnePassSource source)
    {
        lock (_lock)
        {
            if (_idle.Remove(source) && !TryGiveOn())
            {
                _free++;
            }
        }
    }

    private void Release(OnePassSource source)
    {
        Stream? closed = null;
        lock (_lock)
        {
            if (TryGiveOn())
            {
                closed = source.TakeBody();
            }
            else if (source.IsOpen)
            {
                _ = _idle.AddLast(source);
            }
            else
            {
                _free++;
            }
        }

        closed?.Dispose();
    }

    // To one that was not cancelled.
    private bool TryGiveOn()
    {
        while (_waiting.TryDequeue(out var next))
        {
            if (next.TrySetResult())
            {
                return true;
            }
        }

        return false;
    }

    private sealed class Reading(OnePassBodies bodies, OnePassSource source) : IDisposable
    {
        private OnePassSource? _source = source;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _source, null) is { } read)
            {
                bodies.Release(read);
            }
        }
    }
}
