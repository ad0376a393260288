using System.Net;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary>Holds a request's <c>Host</c> against those that are allowed. Safe for any thread.</summary>
/// <param name="addresses">Where the server listens.</param>
/// <param name="allowed">The names where an address is not a loopback; empty for all.</param>
internal sealed class HostGuard(ListenAddresses addresses, IEnumerable<string> allowed)
{
    private readonly string[] _allowed = [.. allowed];

    /// <summary>Whether the request may be answered.</summary>
    public bool Allows(HttpRequest request)
    {
        var host = request.Host.Host;
        if (addresses.IsLoopbackOnly)
        {
            return host is "127.0.0.1" or "[::1]" || string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase);
        }

        // A number is no name that another site could own, and what asks a container for its health has no other.
        return _allowed.Length == 0 || IPAddress.TryParse(host, out _) || Array.Exists(_allowed, name => Fits(name, host));
    }

    private static bool Fits(string allowed, string host) => allowed.StartsWith("*.", StringComparison.Ordinal)
        ? host.Length > allowed.Length - 1 && host.EndsWith(allowed[1..], StringComparison.OrdinalIgnoreCase)
        : string.Equals(allowed, host, StringComparison.OrdinalIgnoreCase);
}
