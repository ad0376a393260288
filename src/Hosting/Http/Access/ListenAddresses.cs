using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace IlgpuLoader.Hosting;

/// <summary>The addresses that the server listens on, and whether anybody but this machine reaches them. Safe for any thread.</summary>
internal sealed class ListenAddresses
{
    private readonly Func<bool?> _areLoopbacks;

    // 0: not known yet, 1: loopbacks alone, 2: others too.
    private int _known;

    private ListenAddresses(Func<bool?> areLoopbacks) => _areLoopbacks = areLoopbacks;

    /// <summary>Whether all are loopbacks. A server that does not say where it listens, or does not yet, may be reached by anybody.</summary>
    public bool IsLoopbackOnly
    {
        get
        {
            if (Volatile.Read(ref _known) == 0)
            {
                if (_areLoopbacks() is not { } areLoopbacks)
                {
                    return false;
                }

                Volatile.Write(ref _known, areLoopbacks ? 1 : 2);
            }

            return Volatile.Read(ref _known) == 1;
        }
    }

    /// <summary>The addresses of an application's server. Addresses are bound one after the other and answered at once: it has all of them when the application has started, and is not asked before.</summary>
    public static ListenAddresses Of(IServer server, IHostApplicationLifetime lifetime) =>
        new(() => lifetime.ApplicationStarted.IsCancellationRequested ? AreLoopbacks(server.Features.Get<IServerAddressesFeature>()?.Addresses ?? []) : null);

    /// <summary>Addresses that are known before they are listened on.</summary>
    /// <param name="urls">Addresses that <see cref="ServerAddresses"/> has found right.</param>
    public static ListenAddresses Of(string urls) => new(() => AreLoopbacks(ServerAddresses.Split(urls)));

    /// <summary>Whether only this machine reaches an address. A socket of the file system is guarded by its permissions; any name but localhost is bound to all addresses.</summary>
    public static bool IsLoopback(BindingAddress address) =>
        address.IsUnixPipe
        || string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(address.Host, out var number) && IPAddress.IsLoopback(number));

    private static bool AreLoopbacks(ICollection<string> addresses) => addresses.Count > 0 && addresses.All(address => IsLoopback(BindingAddress.Parse(address)));
}
