namespace IlgpuLoader.Loading;

/// <summary>What a loader of sharded states knows beforehand. Immutable.</summary>
public sealed record ShardedStateOptions
{
    /// <summary>The defaults.</summary>
    public static ShardedStateOptions Default { get; } = new();

    /// <summary>What the files are called. Where a folder has manifests, they say it. Default: vLLM's.</summary>
    public ShardFilePattern Pattern { get; init; } = ShardFilePattern.Default;
}
