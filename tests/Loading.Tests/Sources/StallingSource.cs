using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A connection whose other side falls silent: from some byte on a read ends only by being cancelled.</summary>
/// <param name="inner">Where the bytes come from.</param>
public sealed class StallingSource(IByteSource inner) : IByteSource
{
    private long _silentFrom = long.MaxValue;
    private readonly TaskCompletionSource _stalled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Name => inner.Name;

    public long Length => inner.Length;

    /// <summary>Completes when a read stalls.</summary>
    public Task Stalled => _stalled.Task;

    /// <summary>Sets the first byte that never comes.</summary>
    public void FallSilentFrom(long offset) => Volatile.Write(ref _silentFrom, offset);

    public async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (offset + destination.Length > Volatile.Read(ref _silentFrom))
        {
            _stalled.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        return await inner.ReadAsync(offset, destination, cancellationToken);
    }

    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => inner.EnsureUnchangedAsync(cancellationToken);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
