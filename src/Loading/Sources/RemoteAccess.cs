namespace IlgpuLoader.Loading;

/// <summary>How checkpoints of the Hub and of ModelScope are read.</summary>
public enum RemoteAccess
{
    /// <summary>Ranges of the remote files, as they are needed; nothing is written.</summary>
    Stream,

    /// <summary>Files are downloaded into the cache before they are opened, and read there; what nothing opens is not downloaded.</summary>
    Cache,
}
