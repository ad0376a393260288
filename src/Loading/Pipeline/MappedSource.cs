using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A source whose bytes come from the mappings of a load where they are those of a local file, and else as they always do. Owns nothing; safe for parallel readers.</summary>
internal class MappedSource : ISequentialByteSource
{
    private readonly IFileByteSource _inner;
    private readonly MappedFiles _files;

    private MappedSource(IFileByteSource inner, MappedFiles files)
    {
        _inner = inner;
        _files = files;
    }

    /// <inheritdoc/>
    public string Name => _inner.Name;

    /// <inheritdoc/>
    public long Length => _inner.Length;

    /// <summary>Puts mappings over a source. If it can read on the calling thread, the result can.</summary>
    /// <param name="inner">The source; it stays its owner's.</param>
    /// <param name="files">The mappings.</param>
    public static MappedSource Over(IFileByteSource inner, MappedFiles files) =>
        inner is ISynchronousByteSource synchronous ? new OnCallingThread(inner, synchronous, files) : new MappedSource(inner, files);

    /// <inheritdoc/>
    public bool IsSequentialAt(long offset) => _inner.IsSequentialAt(offset);

    /// <inheritdoc/>
    public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return TryRead(offset, destination.Span) ? ValueTask.FromResult(destination.Length) : _inner.ReadAsync(offset, destination, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => _inner.EnsureUnchangedAsync(cancellationToken);

    /// <summary>Leaves the source open.</summary>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    private bool TryRead(long offset, Span<byte> destination)
    {
        if (_inner.FindFileRange(offset, destination.Length) is not { } range)
        {
            return false;
        }

        _files.Read(range, destination.Length).CopyTo(destination);
        _files.Forget(range, destination.Length);
        return true;
    }

    private sealed class OnCallingThread(IFileByteSource inner, ISynchronousByteSource synchronous, MappedFiles files)
        : MappedSource(inner, files), ISynchronousByteSource
    {
        public int Read(long offset, Span<byte> destination) =>
            TryRead(offset, destination) ? destination.Length : synchronous.Read(offset, destination);
    }
}
