namespace IlgpuLoader.Gpu;

/// <summary>Page-locked host memory that is kept for the next pool of the same size, up to a limit. Safe for any thread.</summary>
/// <param name="limit">The bytes kept at most.</param>
internal sealed class KeptBlocks(long limit) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<HostMemory> _blocks = [];
    private bool _disposed;

    /// <summary>The bytes that are kept now.</summary>
    public long Bytes
    {
        get
        {
            lock (_lock)
            {
                return _blocks.Sum(block => block.Length);
            }
        }
    }

    /// <summary>
    /// Takes a block of exactly that size; it is the caller's until it comes back. Where there is none, the oldest are freed for which there
    /// would be no room beside it.
    /// </summary>
    /// <returns>The block, or null where none is kept.</returns>
    public HostMemory? Take(long bytes)
    {
        var unfit = new List<HostMemory>();
        lock (_lock)
        {
            var index = _blocks.FindIndex(block => block.Length == bytes);
            if (index >= 0)
            {
                var found = _blocks[index];
                _blocks.RemoveAt(index);
                return found;
            }

            while (_blocks.Count > 0 && _blocks.Sum(kept => kept.Length) > limit - bytes)
            {
                unfit.Add(_blocks[0]);
                _blocks.RemoveAt(0);
            }
        }

        AllOrNone.ForEach(unfit, block => block.Dispose());
        return null;
    }

    /// <summary>Keeps a block, or frees it where that would be too much, or nothing is kept any more.</summary>
    public void Give(HostMemory block)
    {
        lock (_lock)
        {
            if (!_disposed && _blocks.Sum(kept => kept.Length) + block.Length <= limit)
            {
                _blocks.Add(block);
                return;
            }
        }

        block.Dispose();
    }

    /// <summary>Frees what is kept; what comes back later is freed at once.</summary>
    public void Dispose()
    {
        List<HostMemory> all;
        lock (_lock)
        {
            _disposed = true;
            all = [.. _blocks];
            _blocks.Clear();
        }

        AllOrNone.ForEach(all, block => block.Dispose());
    }
}
