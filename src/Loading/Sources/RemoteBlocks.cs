namespace IlgpuLoader.Loading;

/// <summary>
/// Blocks of a remote file that short reads come from. What is read on and on is read ahead in larger and larger blocks: a header takes few requests, whatever its size, and a read here and there fetches little. Safe for any thread.
/// </summary>
internal sealed class RemoteBlocks : IAsyncDisposable
{
    /// <summary>Reads of so many bytes are worth a request of their own: they are about what a connection of 50 MB/s brings while a request waits 5 ms.</summary>
    public const int LongReadBytes = 256 << 10;

    // The header of a shard of a usual model fits the first block (10 to 30 KiB); a vocabulary of 150,000 takes 8 of the largest.
    private const int SmallestBlockBytes = 64 << 10;
    private const int LargestBlockBytes = 1 << 20;

    // Blocks that are kept, in bytes: four of the largest. Headers are read on and on, with a look at the end of an archive.
    private const int KeptBytes = 4 << 20;

    private readonly IRemoteObject _file;
    private readonly RemoteReading _reading;
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _ending = new();

    // The one that was used last in front.
    private readonly LinkedList<Block> _blocks = [];

    /// <summary>Has no block yet.</summary>
    /// <param name="file">The file.</param>
    /// <param name="reading">Reads its ranges.</param>
    public RemoteBlocks(IRemoteObject file, RemoteReading reading) => (_file, _reading) = (file, reading);

    /// <summary>Reads bytes that are within the file: as many as the first block has of them, at least one.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="destination">Where they go, not empty.</param>
    /// <param name="cancellationToken">Ends the waiting; a block that others may want is fetched to its end.</param>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var block = Take(offset, destination.Length);
        try
        {
            var bytes = await block.Bytes.WaitAsync(cancellationToken).ConfigureAwait(false);
            var available = bytes.AsSpan((int)(offset - block.Offset));
            var read = Math.Min(available.Length, destination.Length);
            available[..read].CopyTo(destination.Span);
            return read;
        }
        catch when (block.Bytes.IsFaulted || block.Bytes.IsCanceled)
        {
            // The next reader tries it anew.
            lock (_lock)
            {
                _ = _blocks.Remove(block);
            }

            throw;
        }
    }

    /// <summary>Ends what is being fetched.</summary>
    public async ValueTask DisposeAsync()
    {
        Block[] blocks;
        lock (_lock)
        {
            if (_ending.IsCancellationRequested)
            {
                return;
            }

            blocks = [.. _blocks];
            _blocks.Clear();
        }

        await _ending.CancelAsync().ConfigureAwait(false);
        foreach (var block in blocks)
        {
            await ((Task)block.Bytes).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _ending.Dispose();
    }

    private Block Take(long offset, int wanted)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_ending.IsCancellationRequested, typeof(RemoteObjectSource));
            Block? before = null;
            var end = _file.Length;
            for (var node = _blocks.First; node is not null; node = node.Next)
            {
                var block = node.Value;
                if (block.Offset <= offset && offset < block.End)
                {
                    _blocks.Remove(node);
                    _blocks.AddFirst(node);
                    return block;
                }

                if (block.End <= offset && offset - block.End < SmallestBlockBytes && (before is null || block.End > before.End))
                {
                    before = block;
                }

                // No byte is fetched twice.
                end = block.Offset > offset ? Math.Min(end, block.Offset) : end;
            }

            var size = before is null ? SmallestBlockBytes : Math.Clamp(2 * before.Length, SmallestBlockBytes, LargestBlockBytes);
            var added = new Block(offset, (int)Math.Min(Math.Max(size, wanted), end - offset));
            added.Bytes = FetchAsync(added);
            _ = _blocks.AddFirst(added);
            var kept = 0L;
            for (var node = _blocks.First; node is not null;)
            {
                var next = node.Next;
                kept += node.Value.Length;
                if (kept > KeptBytes && node.Value.Bytes.IsCompleted)
                {
                    _blocks.Remove(node);
                }

                node = next;
            }

            return added;
        }
    }

    private async Task<byte[]> FetchAsync(Block block)
    {
        // Nothing waits for a network under the lock.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var bytes = GC.AllocateUninitializedArray<byte>(block.Length);
        await _reading.ReadAsync(_file, block.Offset, bytes, _ending.Token).ConfigureAwait(false);
        return bytes;
    }

    private sealed class Block(long offset, int length)
    {
        public long Offset { get; } = offset;

        public int Length { get; } = length;

        public long End => Offset + Length;

        public Task<byte[]> Bytes { get; set; } = Task.FromResult<byte[]>([]);
    }
}
