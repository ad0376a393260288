using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A source that can only be read forward, as it says, and counts how often a reader began anew.</summary>
/// <param name="inner">Where the bytes come from.</param>
internal sealed class ForwardSource(IByteSource inner) : SourceDouble(inner), ISequentialByteSource
{
    private readonly Lock _lock = new();
    private long _end = long.MaxValue;

    /// <summary>The passes: reads that begin before the end of the one before them.</summary>
    public int Passes { get; private set; }

    public bool IsSequentialAt(long offset) => true;

    public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            Passes += offset < _end ? 1 : 0;
            _end = offset + destination.Length;
        }

        return Inner.ReadAsync(offset, destination, cancellationToken);
    }
}
