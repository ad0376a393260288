using System.Globalization;

namespace IlgpuLoader.TestKit;

/// <summary>A file of a <see cref="RemoteServer"/>. It can be changed while it is served.</summary>
/// <param name="content">What it holds.</param>
public sealed class RemoteFile(RemoteContent content)
{
    private int _requests;

    /// <summary>What it holds now.</summary>
    public RemoteContent Content { get; set; } = content;

    /// <summary>The header <c>ETag</c> as it is sent; null for none.</summary>
    public string? EntityTag { get; set; } = "\"first\"";

    /// <summary>The header <c>Last-Modified</c>; null for none.</summary>
    public DateTimeOffset? LastModified { get; set; }

    /// <summary>More headers of every answer.</summary>
    public IDictionary<string, string> Headers { get; } = new Dictionary<string, string>();

    /// <summary>What goes wrong in the answer to a request, by its number from 1 on; null for nothing.</summary>
    public Func<int, RemoteFault?> Faults { get; set; } = _ => null;

    /// <summary>How often it was asked for.</summary>
    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Goes wrong in the answers to the first requests from now on.</summary>
    public void FailFirst(int count, RemoteFault fault)
    {
        var served = Requests;
        Faults = request => request <= served + count ? fault : null;
    }

    /// <summary>Goes wrong in every answer from now on.</summary>
    public void FailAlways(RemoteFault fault) => Faults = _ => fault;

    internal RemoteFault? NextFault() => Faults(Interlocked.Increment(ref _requests));

    // RFC 9110, 13.1.5: a strong tag, or the very time.
    internal bool Matches(string ifRange) =>
        ifRange.StartsWith('"') ? ifRange == EntityTag : LastModified is { } modified && ifRange == modified.ToString("R", CultureInfo.InvariantCulture);
}
