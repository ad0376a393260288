namespace IlgpuLoader.Hosting;

/// <summary>Bytes a second over the last seconds. Not safe for several threads.</summary>
/// <param name="time">What measures time.</param>
internal sealed class Throughput(TimeProvider time)
{
    // Long enough that slots, of which a few pass each second on a slow disk, do not make it jump; short enough that a stall shows.
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(2);

    // Twenty places in the window: a lane reports each slot, a hundred times as often.
    private static readonly TimeSpan Step = Window / 20;

    private readonly Queue<(long At, long Bytes)> _samples = [];
    private (long At, long Bytes) _last;

    /// <summary>What was read a second; it falls to 0 within the window when nothing is read any more.</summary>
    public double BytesPerSecond
    {
        get
        {
            if (!_samples.TryPeek(out var oldest))
            {
                return 0;
            }

            var elapsed = time.GetElapsedTime(oldest.At);
            return elapsed > TimeSpan.Zero && time.GetElapsedTime(_last.At) < Window ? (_last.Bytes - oldest.Bytes) / elapsed.TotalSeconds : 0;
        }
    }

    /// <summary>Takes how many bytes were read in all.</summary>
    public void Add(long bytes)
    {
        var now = time.GetTimestamp();
        if (_samples.Count == 0 || time.GetElapsedTime(_last.At, now) >= Step)
        {
            _samples.Enqueue((now, bytes));
            // The oldest sample that is kept is the first before the window begins.
            while (_samples.Count > 2 && time.GetElapsedTime(_samples.ElementAt(1).At, now) >= Window)
            {
                _samples.Dequeue();
            }

            _last = (now, bytes);
        }
        else
        {
            _last = (_last.At, bytes);
        }
    }
}
