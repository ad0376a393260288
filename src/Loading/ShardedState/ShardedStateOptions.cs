using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What a loader of sharded states knows beforehand. Immutable.</summary>
public sealed record ShardedStateOptions
{
    /// <summary>The defaults.</summary>
    public static ShardedStateOptions Default { get; } = new();

    /// <summary>What the files are called. Where a folder has manifests, they say it. Default: vLLM's.</summary>
    public ShardFilePattern Pattern { get; init; } = ShardFilePattern.Default;

    /// <summary>Finds states by their addresses, such as <c>s3://bucket/prefix</c>, wherever a load takes a folder; null (default) for folders alone. Stays the caller's, who disposes it after the last load.</summary>
    public IRemoteCheckpoints? Remote { get; init; }
}
