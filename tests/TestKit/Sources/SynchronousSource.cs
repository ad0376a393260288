using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>Makes any double one that can be read on the calling thread, as a local file can.</summary>
/// <param name="inner">Where the bytes come from; its asynchronous reads are waited for.</param>
public sealed class SynchronousSource(IByteSource inner) : SourceDouble(inner), ISynchronousByteSource
{
    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) =>
        Inner.ReadAsync(offset, destination, cancellationToken);

    /// <inheritdoc/>
    public int Read(long offset, Span<byte> destination)
    {
        var buffer = new byte[destination.Length];
        var read = ReadAsync(offset, buffer).AsTask().GetAwaiter().GetResult();
        buffer.AsSpan(0, read).CopyTo(destination);
        return read;
    }
}
