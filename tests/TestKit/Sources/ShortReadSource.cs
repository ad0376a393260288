using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>Gives a few bytes a read, as a socket or a network file system may: whoever takes one read for the whole fails.</summary>
/// <param name="inner">Where the bytes come from.</param>
/// <param name="most">The most bytes one read gives.</param>
public sealed class ShortReadSource(IByteSource inner, int most = 1) : SourceDouble(inner)
{
    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) =>
        Inner.ReadAsync(offset, destination[..Math.Min(most, destination.Length)], cancellationToken);
}
