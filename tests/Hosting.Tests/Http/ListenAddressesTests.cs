using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class ListenAddressesTests
{
    [Theory]
    [InlineData("http://127.0.0.1:1", null, true)]
    [InlineData("http://127.0.0.1:1", "http://[::1]:2", true)]
    [InlineData("http://127.0.0.1:1", "http://0.0.0.0:2", false)]
    [InlineData(null, null, false)]
    public void Server_that_has_not_bound_all_addresses_counts_as_reached_by_others(string? first, string? second, bool isLoopbackOnly)
    {
        using var server = new StandInServer();
        var lifetime = new ApplicationLifetime(NullLogger<ApplicationLifetime>.Instance);
        var addresses = ListenAddresses.Of(server, lifetime);
        Assert.False(addresses.IsLoopbackOnly);
        foreach (var address in (string?[])[first, second])
        {
            if (address is not null)
            {
                server.Addresses.Add(address);
                // Asked by a request on the address that is bound already; the answer is not kept.
                Assert.False(addresses.IsLoopbackOnly);
            }
        }

        lifetime.NotifyStarted();
        Assert.Equal(isLoopbackOnly, addresses.IsLoopbackOnly);
        Assert.Equal(isLoopbackOnly, addresses.IsLoopbackOnly);
    }

    [Theory]
    [InlineData("http://127.0.0.1:0", true)]
    [InlineData("http://localhost:1;http://127.1.2.3:2;http://unix:/run/x.sock", true)]
    [InlineData("http://127.0.0.1:0;http://0.0.0.0:0", false)]
    public void Addresses_of_the_options_are_known_before_they_are_bound(string urls, bool isLoopbackOnly) => Assert.Equal(isLoopbackOnly, ListenAddresses.Of(urls).IsLoopbackOnly);

    private sealed class StandInServer : IServer
    {
        public StandInServer() => Features.Set<IServerAddressesFeature>(new ServerAddressesFeature());

        public IFeatureCollection Features { get; } = new FeatureCollection();

        public ICollection<string> Addresses => Features.Get<IServerAddressesFeature>()!.Addresses;

        public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
            where TContext : notnull => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose()
        {
        }
    }
}
