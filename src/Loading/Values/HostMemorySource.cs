using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Host memory as a source, so that what reads files also reads what was loaded. The memory stays its owner's.</summary>
/// <param name="memory">The memory; kept alive by the caller while the source is used.</param>
internal sealed class HostMemorySource(HostMemory memory) : ISynchronousByteSource
{
    /// <inheritdoc/>
    public string Name => "memory";

    /// <inheritdoc/>
    public long Length => memory.Length;

    /// <inheritdoc/>
    public int Read(long offset, Span<byte> destination)
    {
        var length = (int)Math.Clamp(memory.Length - offset, 0, destination.Length);
        memory.AsReadOnlySpan(offset, length).CopyTo(destination);
        return length;
    }

    /// <inheritdoc/>
    public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(Read(offset, destination.Span));
    }

    /// <inheritdoc/>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
