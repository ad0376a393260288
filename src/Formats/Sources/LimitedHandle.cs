using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// One open descriptor of a file. Under an <see cref="OpenFileLimit"/> it may be closed while nobody uses it, and is opened again by the
/// next who does. Safe for any thread.
/// </summary>
internal sealed class LimitedHandle : IDisposable
{
    private readonly object _owner;
    private readonly OpenFileLimit? _limit;
    private readonly LinkedListNode<LimitedHandle> _node;
    private readonly Lock _lock = new();
    private SafeFileHandle? _handle;
    private int _users;
    private bool _disposed;

    /// <summary>Makes one that is closed.</summary>
    /// <param name="owner">Whose it is, for exceptions.</param>
    /// <param name="limit">What may close it; null for nothing.</param>
    public LimitedHandle(object owner, OpenFileLimit? limit)
    {
        _owner = owner;
        _limit = limit;
        _node = new LinkedListNode<LimitedHandle>(this);
    }

    /// <summary>Takes the descriptor for a use, which <see cref="Release"/> ends.</summary>
    /// <param name="open">Opens it where it is closed, under its lock; null, or what gives null, leaves it closed.</param>
    /// <returns>The descriptor, or null where it is closed.</returns>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public SafeFileHandle? TryAcquire(Func<SafeFileHandle?>? open)
    {
        SafeFileHandle? handle;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, _owner);
            handle = _handle ??= open?.Invoke();
            if (handle is null)
            {
                return null;
            }

            _users++;
        }

        // On every read, not only where the file was opened: the limit closes the least recently used first.
        _limit?.Use(_node);
        if (Volatile.Read(ref _disposed))
        {
            // Disposed meanwhile, and forgotten before it was named again.
            _limit?.Forget(_node);
        }

        return handle;
    }

    /// <summary>Ends a use.</summary>
    public void Release()
    {
        lock (_lock)
        {
            _users--;
        }
    }

    /// <summary>Closes the descriptor unless somebody uses it. Takes its lock under the limit's lock, never the other way round.</summary>
    public bool TryCloseIdle()
    {
        lock (_lock)
        {
            if (_users > 0)
            {
                return false;
            }

            _handle?.Dispose();
            _handle = null;
            return true;
        }
    }

    /// <summary>Closes it for good.</summary>
    public void Dispose()
    {
        _limit?.Forget(_node);
        lock (_lock)
        {
            _disposed = true;
            _handle?.Dispose();
            _handle = null;
        }
    }
}
