using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>Cancels in the middle of the work, at an exact read instead of after some time.</summary>
/// <param name="inner">Where the bytes come from.</param>
/// <param name="cancellation">What is cancelled.</param>
/// <param name="atRead">The read that cancels, counted from 1; it still gives its bytes.</param>
public sealed class CancellingSource(IByteSource inner, CancellationTokenSource cancellation, int atRead = 1) : SourceDouble(inner)
{
    private int _reads;

    /// <summary>How many reads came after the one that cancelled.</summary>
    public int ReadsAfterwards => Math.Max(0, Volatile.Read(ref _reads) - atRead);

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        var isTheOne = Interlocked.Increment(ref _reads) == atRead;
        var read = await Inner.ReadAsync(offset, destination, cancellationToken);
        if (isTheOne)
        {
            await cancellation.CancelAsync();
        }

        return read;
    }
}
