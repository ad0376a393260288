namespace IlgpuLoader.TestKit;

/// <summary>A request that a <see cref="RemoteServer"/> had.</summary>
/// <param name="Method">Such as <c>GET</c>.</param>
/// <param name="Path">The path, decoded.</param>
/// <param name="Query">The query with its question mark; empty for none.</param>
/// <param name="Headers">The headers by their names, whatever the case.</param>
/// <param name="Connection">Which connection it came over.</param>
public sealed record RecordedRequest(string Method, string Path, string Query, IReadOnlyDictionary<string, string> Headers, string Connection)
{
    private long _bytesSent;

    /// <summary>The bytes of the body that were given to the connection so far.</summary>
    public long BytesSent => Interlocked.Read(ref _bytesSent);

    /// <summary>A header; null for none.</summary>
    public string? this[string name] => Headers.GetValueOrDefault(name);

    internal void AddBytesSent(int bytes) => Interlocked.Add(ref _bytesSent, bytes);
}
