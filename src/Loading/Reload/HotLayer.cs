namespace IlgpuLoader.Loading;

/// <summary>A layer of a live model with its gate and its version. Safe for any thread.</summary>
/// <param name="layer">The layer.</param>
/// <param name="time">What measures the waiting.</param>
internal sealed class HotLayer(ModelLayer layer, TimeProvider time)
{
    private long _version = HotModel.FirstVersion;
    private int _torn;

    public ModelLayer Layer { get; } = layer;

    public LayerGate Gate { get; } = new(time);

    /// <summary>The reload whose weights it has; changes while the gate is closed.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>Whether a copy into it began and did not end well: nobody knows what it has.</summary>
    public bool IsTorn => Volatile.Read(ref _torn) != 0;

    public void MarkTorn() => Volatile.Write(ref _torn, 1);

    public void MarkNew(long version)
    {
        Volatile.Write(ref _version, version);
        Volatile.Write(ref _torn, 0);
    }
}
