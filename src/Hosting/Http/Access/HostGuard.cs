using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary>Holds a request's <c>Host</c> against those that are allowed. Safe for any thread.</summary>
/// <param name="addresses">Where the server listens.</param>
/// <param name="allowed">The names where an address is not a loopback; empty for all.</param>
internal sealed class HostGuard(ListenAddresses addresses, IEnumerable<string> allowed)
{
    private const string Any = "*";
    private const string AnyBelow = "*.";

    private readonly string[] _allowed = [.. allowed.Select(Normal)];

    /// <summary>Whether a name can be held against hosts: a name, a name with <c>*.</c> before it, a number with or without brackets, or <c>*</c>; never with a port.</summary>
    public static bool IsName(string allowed)
    {
        var isBelow = allowed.StartsWith(AnyBelow, StringComparison.Ordinal);
        return allowed == Any
            || (Ascii.IsValid(allowed) && Uri.CheckHostName(isBelow ? allowed[AnyBelow.Length..] : allowed) is var type
                && (type == UriHostNameType.Dns || (!isBelow && type is UriHostNameType.IPv4 or UriHostNameType.IPv6)));
    }

    /// <summary>Whether the request may be answered.</summary>
    /// <param name="request">The request.</param>
    /// <param name="access">What it asks for. Health is asked for by address: those who do are told where a container is, and not what it is called.</param>
    public bool Allows(HttpRequest request, Access access)
    {
        var host = request.Host.Host;
        if (addresses.IsLoopbackOnly)
        {
            // Any loopback by its number: a page of another site is of a name, or of a number that is not this machine's own.
            return string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out var number) && IPAddress.IsLoopback(number));
        }

        return access == Access.Health || _allowed.Length == 0 || Array.Exists(_allowed, name => Fits(name, host));
    }

    // As a header has it: a number of IPv6 stands in brackets there.
    private static string Normal(string allowed) => Uri.CheckHostName(allowed) == UriHostNameType.IPv6 && !allowed.StartsWith('[') ? $"[{allowed}]" : allowed;

    private static bool Fits(string allowed, string host) => allowed == Any
        || (allowed.StartsWith(AnyBelow, StringComparison.Ordinal)
            ? host.Length > allowed.Length - 1 && host.EndsWith(allowed[1..], StringComparison.OrdinalIgnoreCase)
            : string.Equals(allowed, host, StringComparison.OrdinalIgnoreCase));
}
