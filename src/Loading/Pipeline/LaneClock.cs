namespace IlgpuLoader.Loading;

/// <summary>Where the time of all lanes went; they add to it from their own threads.</summary>
internal sealed class LaneClock
{
    private long _firstTouch;
    private long _reading;
    private long _hashing;
    private long _placing;
    private long _decoding;

    public TimeSpan FirstTouch => new(Interlocked.Read(ref _firstTouch));

    public TimeSpan Reading => new(Interlocked.Read(ref _reading));

    public TimeSpan Hashing => new(Interlocked.Read(ref _hashing));

    public TimeSpan Placing => new(Interlocked.Read(ref _placing));

    /// <summary>What of <see cref="Placing"/> went into pieces whose dtype changes.</summary>
    public TimeSpan Decoding => new(Interlocked.Read(ref _decoding));

    public void AddFirstTouch(TimeSpan time) => Interlocked.Add(ref _firstTouch, time.Ticks);

    public void AddReading(TimeSpan time) => Interlocked.Add(ref _reading, time.Ticks);

    public void AddHashing(TimeSpan time) => Interlocked.Add(ref _hashing, time.Ticks);

    public void AddPlacing(TimeSpan time, bool isDecoding = false)
    {
        Interlocked.Add(ref _placing, time.Ticks);
        if (isDecoding)
        {
            Interlocked.Add(ref _decoding, time.Ticks);
        }
    }
}
