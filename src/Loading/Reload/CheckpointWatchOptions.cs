namespace IlgpuLoader.Loading;

/// <summary>How a folder is watched. Immutable.</summary>
public sealed record CheckpointWatchOptions
{
    /// <summary>The defaults.</summary>
    public static CheckpointWatchOptions Default { get; } = new();

    /// <summary>
    /// How often the folder is looked at. Default: a second. It is looked at, and the system not asked to tell: that works on network file systems, whose other machines' writes the system does
    /// not tell, and across a folder that is exchanged for another by a rename, where inotify goes on with the old one.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not positive.</exception>
    public TimeSpan Interval
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            field = value;
        }
    } = TimeSpan.FromSeconds(1);

    /// <summary>How long nothing may have changed before the folder is taken for finished. Default: a second, so that two looks in a row see the same.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public TimeSpan Debounce
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.Zero);
            field = value;
        }
    } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What the model has, from before it was loaded (<see cref="CheckpointFingerprint.Of"/>); null: what was in the folder when it was last reloaded from it by its path, or else when
    /// watching begins.
    /// </summary>
    public CheckpointFingerprint? Loaded { get; init; }

    /// <summary>Where it is said, once for each reason, why a changed folder is not loaded yet; null for nowhere.</summary>
    public WarningLog? Warnings { get; init; }
}
