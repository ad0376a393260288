using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

/// <summary>The server's time to stop is longer than the tests wait: what ends it is not that.</summary>
public sealed class StopTests
{
    // Far below the 30 s that a host has by default, and far above what it takes on a machine that runs other tests.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(15);

    [Theory]
    [InlineData("GET / HT", null)]
    [InlineData("GET / HTTP/1.1\r\nHost: local", null)]
    [InlineData("POST /api/models/llama/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 401 Unauthorized")]
    public async Task Client_that_leaves_a_request_half_sent_does_not_hold_the_host(string sent, string? answer)
    {
        await using var server = await StartAsync();
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        var stream = client.GetStream();
        using var reader = new StreamReader(stream);
        if (answer is null)
        {
            // A whole request before it: the server reads from this connection by now.
            await stream.WriteAsync("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray());
            Assert.Equal("HTTP/1.1 200 OK", await reader.ReadLineAsync().WaitAsync(Bound));
        }

        await stream.WriteAsync(Encoding.ASCII.GetBytes(sent));
        if (answer is not null)
        {
            Assert.Equal(answer, await reader.ReadLineAsync().WaitAsync(Bound));
        }

        await server.StopAsync().WaitAsync(Bound);
        // Whatever was left of the answer, the connection is at its end.
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await reader.ReadLineAsync().WaitAsync(Bound) is not null)
            {
            }

            throw new IOException("closed");
        });
    }

    [Fact]
    public async Task Time_to_stop_is_less_than_that_of_an_orchestrator()
    {
        await using var server = await RunningServer.StartAsync();
        Assert.Equal(TimeSpan.FromSeconds(10), server.Services.GetRequiredService<Microsoft.Extensions.Options.IOptions<HostOptions>>().Value.ShutdownTimeout);
    }

    [Fact]
    public async Task Service_that_fails_before_the_server_listens_ends_the_start_with_its_failure()
    {
        var (failing, held) = (new FailingService(), new HeldService());
        await using var server = RunningServer.Create(
            new StandInStore(), [], "http://127.0.0.1:0", services => services.AddSingleton<IHostedService>(failing).AddSingleton<IHostedService>(held));
        var start = server.StartAsync();
        await held.Reached.Task.WaitAsync(Bound);
        failing.End.SetException(new InvalidOperationException("the weights are gone"));
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => start.WaitAsync(Bound));
        Assert.Equal("the weights are gone", exception.Message);
        Assert.True(failing.IsStopped);
    }

    [Fact]
    public async Task Start_that_its_caller_ends_is_cancelled()
    {
        var held = new HeldService();
        await using var server = RunningServer.Create(new StandInStore(), [], "http://127.0.0.1:0", services => services.AddSingleton<IHostedService>(held));
        using var end = new CancellationTokenSource();
        var start = server.StartAsync(end.Token);
        await held.Reached.Task.WaitAsync(Bound);
        await end.CancelAsync();
        _ = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => start.WaitAsync(Bound));
    }

    private static Task<RunningServer> StartAsync() => RunningServer.StartAsync(
        variables: [$"TOKEN={RunningServer.Token}"],
        services: services => services.PostConfigure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromMinutes(5)));

    private sealed class FailingService : BackgroundService
    {
        public TaskCompletionSource End { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsStopped { get; private set; }

        public override Task StopAsync(CancellationToken cancellationToken)
        {
            IsStopped = true;
            return base.StopAsync(cancellationToken);
        }

        protected override Task ExecuteAsync(CancellationToken stoppingToken) => End.Task;
    }

    // Starts until the host is asked to stop.
    private sealed class HeldService : IHostedService
    {
        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task StartAsync(CancellationToken cancellationToken)
        {
            Reached.SetResult();
            return Task.Delay(Timeout.Infinite, cancellationToken);
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
