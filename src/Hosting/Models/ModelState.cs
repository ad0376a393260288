namespace IlgpuLoader.Hosting;

/// <summary>What a hosted model is doing.</summary>
public enum ModelState
{
    /// <summary>It is not in memory, and nobody loads it.</summary>
    Unloaded,

    /// <summary>It waits for its turn to be loaded.</summary>
    Queued,

    /// <summary>It is being loaded, and was not there before.</summary>
    Loading,

    /// <summary>It is there.</summary>
    Loaded,

    /// <summary>It is being loaded again.</summary>
    Reloading,

    /// <summary>It is being freed.</summary>
    Unloading,

    /// <summary>Its load has failed; where it is tried again, it waits for that.</summary>
    Failed,
}
