using System.Buffers;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Bytes of a remote file whose server gives no ranges: one body, read once from its beginning on. What has come is kept for a while, so that a header can be read again and lanes side by side; of those who wait, the one nearest the
/// beginning goes first. What was let go, and what lies far ahead, is refused. A body that is cut is asked for once more, and what of it was there is passed over. Safe for any thread.
/// </summary>
/// <param name="file">The file.</param>
/// <param name="reading">Says how often is tried again, and how many bodies may be open.</param>
/// <param name="name">Its name for messages.</param>
/// <param name="keptBytes">The bytes that are kept, in whole MiB.</param>
internal sealed class OnePassSource(IRemoteObject file, RemoteReading reading, string name, int keptBytes = OnePassSource.KeptBytes) : IRemoteByteSource, ISequentialByteSource
{
    /// <summary>The bytes that are kept of each file until its source is disposed, 128 MiB: as far apart as the reads of all lanes of a load can be (8 of 16 MiB).</summary>
    public const int KeptBytes = 128 << 20;

    private const int ChunkBytes = 1 << 20;

    // What a read of a fast network gives at most.
    private const int PassedOverBytes = 512 << 10;

    private readonly Lock _lock = new();
    private readonly PriorityQueue<TaskCompletionSource, long> _waiting = new();

    // By their offset in the file, in chunks.
    private readonly Dictionary<long, byte[]> _chunks = [];
    private readonly CancellationTokenSource _ending = new();
    private Stream? _body;
    private long _position;
    private bool _isTaken;

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public long Length => file.Length;

    /// <summary>One: there is one body.</summary>
    public int ParallelReads => 1;

    /// <inheritdoc/>
    public int PreferredReadBytes => ChunkBytes;

    /// <inheritdoc/>
    public bool IsSequentialAt(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        return true;
    }

    /// <inheritdoc/>
    /// <exception cref="RemoteException">The bytes are not to be had in one pass, or the connection is cut again and again.</exception>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        cancellationToken.ThrowIfCancellationRequested();
        if (offset >= Length || destination.IsEmpty)
        {
            return 0;
        }

        while (true)
        {
            var copied = TryCopy(offset, destination.Span);
            if (copied > 0)
            {
                return copied;
            }

            await TakeTurnAsync(offset, cancellationToken).ConfigureAwait(false);
            try
            {
                if (offset >= Volatile.Read(ref _position))
                {
                    // A piece at a time: whoever wants what comes earlier goes first.
                    await ReadOnAsync(cancellationToken).ConfigureAwait(false);
                }
            }
            finally
            {
                GiveTurn();
            }
        }
    }

    /// <summary>Asks for nothing: there is one body, and each that comes after it is held against what the file was when it was opened.</summary>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

    /// <summary>Whether its body is open; asked by who has it read, or not read.</summary>
    internal bool IsOpen => Volatile.Read(ref _body) is not null;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_ending.IsCancellationRequested)
        {
            return;
        }

        await _ending.CancelAsync().ConfigureAwait(false);
        await CloseAsync().ConfigureAwait(false);
        reading.Bodies.Forget(this);
        _ending.Dispose();
    }

    // 0 where nothing has come yet.
    private int TryCopy(long offset, Span<byte> destination)
    {
        byte[]? chunk;
        long position;
        lock (_lock)
        {
            position = _position;
            _ = _chunks.TryGetValue(offset / ChunkBytes, out chunk);
        }

        if (offset < position)
        {
            if (chunk is null)
            {
                throw Refusal($"bytes from {offset} on are wanted again, and the reading is at {position} already");
            }

            // Bytes before the position are not written any more.
            var within = (int)(offset % ChunkBytes);
            var available = (int)Math.Min(Math.Min(ChunkBytes - within, position - offset), destination.Length);
            chunk.AsSpan(within, available).CopyTo(destination);
            return available;
        }

        return offset - position <= keptBytes
            ? 0
            : throw Refusal($"bytes from {offset} on are wanted, and the reading is at {position}: all between would be fetched in vain");
    }

    private async ValueTask ReadOnAsync(CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ending.Token);
        var (index, within) = (_position / ChunkBytes, (int)(_position % ChunkBytes));
        byte[]? chunk;
        lock (_lock)
        {
            if (!_chunks.TryGetValue(index, out chunk))
            {
                _chunks.Add(index, chunk = GC.AllocateUninitializedArray<byte>((int)Math.Min(ChunkBytes, Length - (index * ChunkBytes))));
                _ = _chunks.Remove(index - (keptBytes / ChunkBytes) - 1);
            }
        }

        var read = 0;
        using var turn = await reading.Bodies.TakeAsync(this, either.Token).ConfigureAwait(false);
        var cut = await reading.Retries.ExecuteAsync(
            async token =>
            {
                (read, var failure) = await TryReadAsync(chunk.AsMemory(within), token).ConfigureAwait(false);
                return failure;
            },
            either.Token).ConfigureAwait(false);
        if (cut is not null)
        {
            throw new RemoteException(RemoteFailure.Network, Name, $"{cut.Problem.TrimEnd('.')}, again and again; {_position} of {Length} bytes have come.", cut);
        }

        lock (_lock)
        {
            _position += read;
        }
    }

    private async ValueTask<(int Read, RemoteException? Cut)> TryReadAsync(Memory<byte> into, CancellationToken cancellationToken)
    {
        var isAnew = _body is null;
        _body ??= await file.OpenRangeAsync(0, Length, cancellationToken).ConfigureAwait(false);
        try
        {
            var least = 1;
            if (isAnew && _position > 0)
            {
                await PassOverAsync(_body, _position, cancellationToken).ConfigureAwait(false);
                // A body that brings less before it is cut has brought nothing: else all that was there would be fetched once more for every byte.
                least = (int)Math.Min(into.Length, Math.Min(RemoteReading.LeastProgressBytes, Length - _position));
            }

            var read = await _body.ReadAtLeastAsync(into, least, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            if (read >= least)
            {
                return (read, null);
            }

            await CloseAsync().ConfigureAwait(false);
            return (0, new RemoteException(RemoteFailure.Network, Name, $"the connection ends after {_position + read} of {Length} bytes."));
        }
        catch (RemoteException cut) when (cut.Failure == RemoteFailure.Network)
        {
            await CloseAsync().ConfigureAwait(false);
            return (0, cut);
        }
        catch
        {
            // Where it stands is not known any more.
            await CloseAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async ValueTask PassOverAsync(Stream body, long bytes, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(PassedOverBytes);
        try
        {
            for (var left = bytes; left > 0;)
            {
                var wanted = (int)Math.Min(left, buffer.Length);
                await body.ReadExactlyAsync(buffer.AsMemory(0, wanted), cancellationToken).ConfigureAwait(false);
                left -= wanted;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Takes its body away while it is not being read; it is asked for once more when it is wanted.</summary>
    /// <returns>The body, which the caller disposes; null where none is open.</returns>
    internal Stream? TakeBody() => Interlocked.Exchange(ref _body, null);

    private async ValueTask CloseAsync()
    {
        if (TakeBody() is { } body)
        {
            await body.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask TakeTurnAsync(long offset, CancellationToken cancellationToken)
    {
        TaskCompletionSource? turn = null;
        lock (_lock)
        {
            if (_isTaken)
            {
                turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _waiting.Enqueue(turn, offset);
            }

            _isTaken = true;
        }

        if (turn is not null)
        {
            using var registration = cancellationToken.UnsafeRegister(waiting => ((TaskCompletionSource)waiting!).TrySetCanceled(), turn);
            await turn.Task.ConfigureAwait(false);
        }
    }

    private void GiveTurn()
    {
        lock (_lock)
        {
            while (_waiting.TryDequeue(out var next, out _))
            {
                // Not to one that was cancelled.
                if (next.TrySetResult())
                {
                    return;
                }
            }

            _isTaken = false;
        }
    }

    private RemoteException Refusal(string what) =>
        new(RemoteFailure.Network, Name, $"its server gives no ranges, so that it can only be read once from its beginning on; {what}. Download the file first, and open the local one.");
}
