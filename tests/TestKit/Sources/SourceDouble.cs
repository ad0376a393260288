using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>
/// A source over another one, for doubles that change how bytes arrive. Counts its own disposals, disposes what it wraps,
/// and is as safe for parallel readers as that is.
/// </summary>
/// <param name="inner">Where the bytes come from.</param>
public abstract class SourceDouble(IByteSource inner) : IByteSource
{
    private int _disposals;

    /// <inheritdoc/>
    public string Name => Inner.Name;

    /// <inheritdoc/>
    public long Length => Inner.Length;

    /// <summary>How often the source was disposed.</summary>
    public int Disposals => Volatile.Read(ref _disposals);

    /// <summary>Where the bytes come from.</summary>
    protected IByteSource Inner { get; } = inner;

    /// <inheritdoc/>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default);

    /// <inheritdoc/>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => Inner.EnsureUnchangedAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        Interlocked.Increment(ref _disposals);
        return Inner.DisposeAsync();
    }
}
