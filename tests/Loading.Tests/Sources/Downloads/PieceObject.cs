using System.Collections.Concurrent;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A remote file in memory that says what was asked of it, and goes wrong on demand.</summary>
internal sealed class PieceObject(RemoteContent content) : IRemoteObject
{
    private readonly ConcurrentQueue<(long Offset, long Length)> _asked = [];
    private long _given;

    public string Name => "https://hub.test/file";

    public long Length => content.Length;

    public bool TakesRanges { get; init; } = true;

    /// <summary>How many bytes the answer to each request gives before it is cut, by its number from 1 on; null for all.</summary>
    public Func<int, long?> Cut { get; init; } = _ => null;

    /// <summary>Waited for before each read, with the bytes that were given so far.</summary>
    public Func<long, CancellationToken, Task> Before { get; init; } = (_, _) => Task.CompletedTask;

    public IReadOnlyList<(long Offset, long Length)> Asked => [.. _asked];

    public long Given => Interlocked.Read(ref _given);

    public Task<Stream> OpenRangeAsync(long offset, long length, CancellationToken cancellationToken)
    {
        _asked.Enqueue((offset, length));
        return Task.FromResult<Stream>(new Body(this, content, offset, length, Cut(_asked.Count)));
    }

    private sealed class Body(PieceObject owner, RemoteContent content, long offset, long length, long? cut) : MemoryStream
    {
        private long _done;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await owner.Before(owner.Given, cancellationToken);
            // Never as much as is asked for.
            var count = (int)Math.Min(Math.Min(buffer.Length, 50_000), Math.Min(length, cut ?? long.MaxValue) - _done);
            if (count == 0 && _done < length)
            {
                throw new RemoteException(RemoteFailure.Network, owner.Name, "the connection was cut.");
            }

            content.Read(offset + _done, buffer.Span[..count]);
            _done += count;
            Interlocked.Add(ref owner._given, count);
            return count;
        }
    }
}
