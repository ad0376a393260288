namespace IlgpuLoader.Loading;

/// <summary>Counts what was fetched from other machines. Safe for any thread.</summary>
public sealed class RemoteTraffic
{
    private long _bytes;
    private long _requests;

    /// <summary>The bytes of bodies that have arrived.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>The requests that were sent, retries and redirects among them.</summary>
    public long Requests => Interlocked.Read(ref _requests);

    /// <summary>Counts bytes of a body.</summary>
    internal void AddBytes(long bytes) => Interlocked.Add(ref _bytes, bytes);

    /// <summary>Counts a request.</summary>
    internal void AddRequest() => Interlocked.Increment(ref _requests);
}
