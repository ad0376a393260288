using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats;

/// <summary>
/// A source that stays its owner's: what is put over it can be disposed, and is, without closing it. As safe for parallel readers
/// as the source itself.
/// </summary>
internal class BorrowedSource : IFileByteSource, ILayeredByteSource
{
    private BorrowedSource(IByteSource inner) => Inner = inner;

    /// <inheritdoc/>
    public string Name => Inner.Name;

    /// <inheritdoc/>
    public long Length => Inner.Length;

    /// <inheritdoc/>
    public IByteSource Under => Inner;

    /// <summary>Where the bytes come from.</summary>
    protected IByteSource Inner { get; }

    /// <summary>Lends a source. If it can read on the calling thread, the result can.</summary>
    /// <param name="inner">The source, which its owner disposes, later than the result.</param>
    [SuppressMessage("Reliability", "CA2000:Dispose objects before losing scope", Justification = "The caller owns what is returned.")]
    public static BorrowedSource Of(IByteSource inner) =>
        inner is ISynchronousByteSource synchronous ? new OnCallingThread(synchronous) : new BorrowedSource(inner);

    /// <inheritdoc/>
    public FileRange? FindFileRange(long offset, long length) => Inner.FindFileRange(offset, length);

    /// <inheritdoc/>
    public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) =>
        Inner.ReadAsync(offset, destination, cancellationToken);

    /// <inheritdoc/>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => Inner.EnsureUnchangedAsync(cancellationToken);

    /// <summary>Leaves the source open.</summary>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    private sealed class OnCallingThread(ISynchronousByteSource inner) : BorrowedSource(inner), ISynchronousByteSource
    {
        public int Read(long offset, Span<byte> destination) => inner.Read(offset, destination);
    }
}
