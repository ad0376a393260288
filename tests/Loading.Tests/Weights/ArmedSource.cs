using System.Collections.Concurrent;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Does something before reads, once it is armed: so that opening, which reads the same bytes, is left alone.</summary>
/// <param name="inner">Where the bytes come from.</param>
/// <param name="at">Only reads that have this byte count; null for all.</param>
/// <param name="act">What is done.</param>
public sealed class ArmedSource(IByteSource inner, long? at, Func<CancellationToken, Task> act) : SourceDouble(inner)
{
    private volatile bool _isArmed;

    /// <summary>Arms it.</summary>
    public void Arm() => _isArmed = true;

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (_isArmed && (at is null || (offset <= at && offset + destination.Length > at)))
        {
            await act(cancellationToken);
        }

        return await Inner.ReadAsync(offset, destination, cancellationToken);
    }
}

/// <summary>Arms sources with the first report of an iterator: all files are open then, and nothing of the weights is read.</summary>
/// <param name="sources">The sources.</param>
public sealed class Arming(ConcurrentBag<ArmedSource> sources) : IProgress<LoadProgress>
{
    public void Report(LoadProgress value)
    {
        foreach (var source in sources)
        {
            source.Arm();
        }
    }
}
