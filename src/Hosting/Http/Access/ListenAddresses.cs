using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary>The addresses that the server listens on, and whether anybody but this machine reaches them. Safe for any thread.</summary>
/// <param name="server">The server, which knows its addresses when it has started.</param>
internal sealed class ListenAddresses(IServer server)
{
    // 0: not known yet, 1: loopbacks alone, 2: others too.
    private int _known;

    /// <summary>Whether all are loopbacks; asked for in a request, when the server has started. A server that does not say where it listens may be reached by anybody.</summary>
    public bool IsLoopbackOnly
    {
        get
        {
            if (Volatile.Read(ref _known) == 0)
            {
                var addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses;
                Volatile.Write(ref _known, addresses is { Count: > 0 } && addresses.All(address => IsLoopback(BindingAddress.Parse(address))) ? 1 : 2);
            }

            return _known == 1;
        }
    }

    /// <summary>Whether only this machine reaches an address. A socket of the file system is guarded by its permissions; any name but localhost is bound to all addresses.</summary>
    public static bool IsLoopback(BindingAddress address) =>
        address.IsUnixPipe
        || string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(address.Host, out var number) && IPAddress.IsLoopback(number));
}
