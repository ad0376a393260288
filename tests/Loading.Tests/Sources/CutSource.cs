using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A file that was cut after it was opened: its length is the old one, and it ends before that.</summary>
/// <param name="inner">Where the bytes come from.</param>
/// <param name="end">Where it ends now.</param>
public sealed class CutSource(IByteSource inner, long end) : SourceDouble(inner)
{
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) =>
        Inner.ReadAsync(offset, destination[..(int)Math.Clamp(end - offset, 0, destination.Length)], cancellationToken);
}
