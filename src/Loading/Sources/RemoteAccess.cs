namespace IlgpuLoader.Loading;

/// <summary>How checkpoints of the Hub and of ModelScope are read.</summary>
public enum RemoteAccess
{
    /// <summary>Ranges of the remote files, as they are needed; nothing is written.</summary>
    Stream,

    /// <summary>The weights are downloaded into the cache first, and read there.</summary>
    Cache,
}
