namespace IlgpuLoader.Loading;

/// <summary>Where the time of all lanes went; they add to it from their own threads.</summary>
internal sealed class LaneClock
{
    private long _firstTouch;
    private long _reading;
    private long _hashing;
    private long _placing;

    public TimeSpan FirstTouch => new(Interlocked.Read(ref _firstTouch));

    public TimeSpan Reading => new(Interlocked.Read(ref _reading));

    public TimeSpan Hashing => new(Interlocked.Read(ref _hashing));

    public TimeSpan Placing => new(Interlocked.Read(ref _placing));

    public void AddFirstTouch(TimeSpan time) => Interlocked.Add(ref _firstTouch, time.Ticks);

    public void AddReading(TimeSpan time) => Interlocked.Add(ref _reading, time.Ticks);

    public void AddHashing(TimeSpan time) => Interlocked.Add(ref _hashing, time.Ticks);

    public void AddPlacing(TimeSpan time) => Interlocked.Add(ref _placing, time.Ticks);
}
