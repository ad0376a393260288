namespace IlgpuLoader.Formats;

/// <summary>
/// Keeps the number of open files of one checkpoint below a limit: a checkpoint of a thousand shards must not use up
/// the process's file descriptors. Files beyond the limit are closed, least recently used first, and opened again when
/// they are read. One that is also read past the page cache has two descriptors, and counts twice. Thread-safe.
/// </summary>
/// <param name="maximum">How many files stay open at the same time, at least 1.</param>
public sealed class OpenFileLimit(int maximum = OpenFileLimit.DefaultMaximum)
{
    /// <summary>
    /// The default: far above the number of lanes that read at the same time, far below the 1,024 descriptors that
    /// Linux gives a process by default.
    /// </summary>
    public const int DefaultMaximum = 128;

    private readonly int _maximum = Math.Max(1, maximum);
    private readonly LinkedList<LimitedHandle> _open = new();
    private readonly Lock _lock = new();

    /// <summary>How many files are open now.</summary>
    public int OpenCount
    {
        get
        {
            lock (_lock)
            {
                return _open.Count;
            }
        }
    }

    // Called whenever a file is used; the node is the file's own, so that a hit costs no search.
    internal void Use(LinkedListNode<LimitedHandle> node)
    {
        lock (_lock)
        {
            if (node.List is not null)
            {
                // The node that was used last is used again by most reads.
                if (node.Next is null && _open.Count <= _maximum)
                {
                    return;
                }

                _open.Remove(node);
            }

            _open.AddLast(node);
            for (var candidate = _open.First; _open.Count > _maximum && candidate != node && candidate is not null;)
            {
                var next = candidate.Next;
                // A file with a read under way stays; the limit is then exceeded by at most the number of readers.
                if (candidate.Value.TryCloseIdle())
                {
                    _open.Remove(candidate);
                }

                candidate = next;
            }
        }
    }

    internal void Forget(LinkedListNode<LimitedHandle> node)
    {
        lock (_lock)
        {
            if (node.List is not null)
            {
                _open.Remove(node);
            }
        }
    }
}
