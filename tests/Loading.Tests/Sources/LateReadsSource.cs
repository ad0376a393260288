using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Cancels at an exact read and counts the reads that begin when that is known, however threads are scheduled.</summary>
/// <param name="inner">Where the bytes come from.</param>
/// <param name="cancellation">What is cancelled.</param>
/// <param name="atRead">The read that cancels, counted from 1; it still gives its bytes.</param>
public sealed class LateReadsSource(IByteSource inner, CancellationTokenSource cancellation, int atRead) : SourceDouble(inner)
{
    private int _reads;
    private int _lateReads;

    /// <summary>The reads that began after the cancellation.</summary>
    public int LateReads => Volatile.Read(ref _lateReads);

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (cancellation.IsCancellationRequested)
        {
            Interlocked.Increment(ref _lateReads);
        }
        else if (Interlocked.Increment(ref _reads) == atRead)
        {
            // Not waited for: its callbacks may need a thread of the pool, and the readers may have all of them.
            _ = cancellation.CancelAsync();
        }

        return await Inner.ReadAsync(offset, destination, cancellationToken);
    }
}
