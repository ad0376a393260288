namespace IlgpuLoader.Gpu;

/// <summary>Has a device keep more of what is freed, until it is disposed.</summary>
internal sealed class KeptMeanwhile : IDisposable
{
    private readonly KeptRegions _kept;
    private long _bytes;

    public KeptMeanwhile(KeptRegions kept, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        (_kept, _bytes) = (kept, bytes);
        _kept.Lend(bytes);
    }

    /// <summary>Ends it, and frees what is kept beyond the device's own limit.</summary>
    public void Dispose() => _kept.Lend(-Interlocked.Exchange(ref _bytes, 0));
}
