using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What opening through a NumPy cache came to. Immutable.</summary>
/// <param name="Checkpoint">The opened checkpoint, which the caller disposes.</param>
/// <param name="CachePath">The folder of the cache; null where the checkpoint is of a format that gets none.</param>
public sealed record NumpyCacheOpening(Checkpoint Checkpoint, string? CachePath)
{
    /// <summary>How long making the cache took; null where that was not needed.</summary>
    public TimeSpan? Made { get; init; }

    /// <summary>How long another process was waited for that made the cache; null where none was.</summary>
    public TimeSpan? Waited { get; init; }

    /// <summary>Whether there is no cache of the checkpoint, and the checkpoint itself was opened, since nothing was to be written.</summary>
    public bool IsMissing { get; init; }
}
