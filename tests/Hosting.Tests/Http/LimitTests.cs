using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class LimitTests
{
    [Theory]
    [InlineData(0, false, 202)]
    [InlineData(1024, false, 202)]
    [InlineData(1025, false, 413)]
    [InlineData(0, true, 202)]
    [InlineData(1024, true, 202)]
    [InlineData(1025, true, 413)]
    [InlineData(100_000, true, 413)]
    public async Task Body_is_not_looked_at_and_has_a_limit(int bytes, bool isChunked, int status)
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        using HttpContent content = isChunked ? new ChunkedContent(bytes) : new ByteArrayContent(new byte[bytes]);
        var sent = server.SendAsync(HttpMethod.Post, "/api/models/llama/load", $"Bearer {RunningServer.Token}", content: content);
        if (status == 413)
        {
            Assert.Contains("1024", await RunningServer.ProblemAsync(sent, 413, "TooMuch"), StringComparison.Ordinal);
            Assert.Empty(server.Store["llama"].Calls);
            return;
        }

        using var response = await sent;
        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task Headers_have_a_limit()
    {
        await using var server = await RunningServer.StartAsync();
        var request = new HttpRequestMessage(HttpMethod.Get, "/healthz");
        request.Headers.Add("X-Long", new string('x', 20_000));
        using var response = await server.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.RequestHeaderFieldsTooLarge, response.StatusCode);
    }

    [Fact]
    public async Task Limits_of_the_options_are_the_servers()
    {
        await using var server = await RunningServer.StartAsync(variables: ["Http__MaximumBodyBytes=77", "Http__MaximumHeaderBytes=2048", "Http__HeaderTimeout=00:00:03", "Http__MaximumConnections=9"]);
        var kestrel = server.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value;
        Assert.False(kestrel.AddServerHeader);
        Assert.Equal(9, kestrel.Limits.MaxConcurrentConnections);
        Assert.Equal((8 * 77, 2048, TimeSpan.FromSeconds(3)), (kestrel.Limits.MaxRequestBodySize, kestrel.Limits.MaxRequestHeadersTotalSize, kestrel.Limits.RequestHeadersTimeout));
    }

    [Fact]
    public async Task Connection_beyond_those_at_a_time_is_closed()
    {
        await using var server = await RunningServer.StartAsync(variables: ["Http__MaximumConnections=1"]);
        // The client keeps its connection.
        _ = await server.GetAsync("/healthz");
        using var second = new TcpClient();
        await second.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        Assert.Equal(0, await second.GetStream().ReadAsync(new byte[1]).AsTask().WaitAsync(TimeSpan.FromSeconds(30)));
        _ = await server.GetAsync("/healthz");
    }

    [Fact]
    public async Task Chunk_that_is_none_is_the_clients_mistake()
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        var answer = await SendRawAsync(server, "Transfer-Encoding: chunked\r\n\r\nno chunk\r\n", isAnswered: true);
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"InvalidRequest\"", answer, StringComparison.Ordinal);
        Assert.Empty(server.Store["llama"].Calls);
        Assert.DoesNotContain(server.Log.Entries, entry => entry.Id.Name == "RequestFailed");
    }

    [Fact]
    public async Task Client_that_goes_away_within_a_body_is_nothing_to_tell()
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        _ = await SendRawAsync(server, "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n", isAnswered: false);
        // All connections are at their end, and so is what was logged of them.
        await server.StopAsync();
        Assert.Empty(server.Store["llama"].Calls);
        Assert.DoesNotContain(server.Log.Entries, entry => entry.Id.Name == "RequestFailed" || entry.Level >= Microsoft.Extensions.Logging.LogLevel.Error);
    }

    [Fact]
    public async Task Requests_beyond_those_at_a_time_wait_and_further_ones_are_refused_but_for_health()
    {
        await using var server = await RunningServer.StartAsync(variables: ["Http__MaximumConcurrentRequests=1", "Http__MaximumQueuedRequests=1"]);
        using var open = new ManualResetEventSlim();
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Store["llama"].BeforeTensors = () =>
        {
            arrived.TrySetResult();
            open.Wait(TimeSpan.FromSeconds(30));
        };
        var first = server.SendAsync(HttpMethod.Get, "/api/models/llama/tensors");
        await arrived.Task.WaitAsync(TimeSpan.FromSeconds(30));

        // Of two more, whichever comes first waits, and the other is told.
        var others = new[] { server.SendAsync(HttpMethod.Get, "/api/models"), server.SendAsync(HttpMethod.Get, "/api/models") };
        var refused = await (await Task.WhenAny(others)).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(1, refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
        _ = await RunningServer.ProblemAsync(Task.FromResult(refused), 429, "TooMuch");
        using var health = await server.SendAsync(HttpMethod.Get, "/healthz");
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
        Assert.False(first.IsCompleted);

        open.Set();
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
        var waited = Array.Find(others, other => other.Result != refused)!;
        Assert.Equal(HttpStatusCode.OK, (await waited).StatusCode);
    }

    [Fact]
    public async Task Third_action_of_a_kind_joins_the_one_that_waits()
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        var model = server.Store["llama"];
        var end = new TaskCompletionSource();
        model.Action = end.Task;
        model.Become(ModelState.Loaded);
        for (var i = 0; i < 5; i++)
        {
            using var response = await server.PostAsync("/api/models/llama/reload");
            Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        }

        await server.Store.UntilAsync(() => model.Calls.Count == 2);
        // Another kind is another matter.
        using var unload = await server.PostAsync("/api/models/llama/unload");
        await server.Store.UntilAsync(() => model.Calls.Count == 3);
        Assert.Equal(["reload", "reload", "unload"], model.Calls);
        end.SetResult();
    }

    [Theory]
    [InlineData(ModelState.Unloaded, "load", 202)]
    [InlineData(ModelState.Loaded, "load", 202)]
    [InlineData(ModelState.Failed, "load", 202)]
    [InlineData(ModelState.Unloaded, "reload", 409)]
    [InlineData(ModelState.Failed, "reload", 409)]
    [InlineData(ModelState.Unloading, "reload", 409)]
    [InlineData(ModelState.Queued, "reload", 202)]
    [InlineData(ModelState.Loading, "reload", 202)]
    [InlineData(ModelState.Reloading, "reload", 202)]
    [InlineData(ModelState.Unloaded, "unload", 409)]
    [InlineData(ModelState.Failed, "unload", 409)]
    [InlineData(ModelState.Unloading, "unload", 202)]
    [InlineData(ModelState.Queued, "unload", 202)]
    [InlineData(ModelState.Loading, "unload", 202)]
    [InlineData(ModelState.Loaded, "unload", 202)]
    public async Task Action_that_makes_no_sense_is_a_conflict(ModelState state, string action, int status)
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        server.Store["llama"].Become(state);
        var sent = server.PostAsync($"/api/models/llama/{action}");
        if (status == 409)
        {
            Assert.Contains(state.ToString(), await RunningServer.ProblemAsync(sent, 409, "Conflict"), StringComparison.Ordinal);
            Assert.Empty(server.Store["llama"].Calls);
        }
        else
        {
            using var response = await sent;
            Assert.Equal(status, (int)response.StatusCode);
        }
    }

    [Fact]
    public async Task Model_that_is_tried_again_can_be_unloaded()
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        server.Store["llama"].Become(status => status with
        {
            State = ModelState.Failed,
            Failure = new ModelFailure("Unreadable", "gone", DateTimeOffset.UnixEpoch, 1, DateTimeOffset.UnixEpoch.AddSeconds(1)),
        });
        using var response = await server.PostAsync("/api/models/llama/unload");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
    }

    [Fact]
    public async Task Action_that_fails_is_in_the_log_and_the_next_one_runs()
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        var model = server.Store["llama"];
        model.Action = Task.FromException(new InvalidOperationException("no such luck"));
        for (var i = 1; i <= 3; i++)
        {
            using var response = await server.PostAsync("/api/models/llama/load");
            await server.Store.UntilAsync(() => model.Calls.Count == i);
            SpinWait.SpinUntil(() => server.Log.Entries.Count(entry => entry.Id.Name == "ActionFailed" && entry.Text.Contains("no such luck", StringComparison.Ordinal)) == i, TimeSpan.FromSeconds(30));
        }

        Assert.Equal(3, server.Log.Entries.Count(entry => entry.Id.Name == "ActionFailed"));
    }

    [Fact]
    public async Task Request_that_is_under_way_ends_with_the_host()
    {
        await using var server = await RunningServer.StartAsync(variables: [$"TOKEN={RunningServer.Token}"]);
        // A body that never comes.
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /api/models/llama/load HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {RunningServer.Token}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"));
        // The server asks for the body, so that it waits for it by now.
        using var reader = new StreamReader(stream);
        Assert.Equal("HTTP/1.1 100 Continue", await reader.ReadLineAsync());
        Assert.Equal("", await reader.ReadLineAsync());
        // With the client's connection open: Kestrel would wait for the body, and give the connection up behind its own time alone.
        await server.StopAsync();
        await Assert.ThrowsAnyAsync<IOException>(async () => Assert.NotNull(await reader.ReadLineAsync() ?? throw new IOException("closed")));
        Assert.Empty(server.Store["llama"].Calls);
    }

    private static async Task<string> SendRawAsync(RunningServer server, string rest, bool isAnswered)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /api/models/llama/load HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {RunningServer.Token}\r\n{rest}"));
        using var reader = new StreamReader(stream);
        if (isAnswered)
        {
            return await reader.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(30));
        }

        // The server waits for the body, and the client resets the connection.
        Assert.Equal("HTTP/1.1 100 Continue", await reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30)));
        client.Client.LingerState = new LingerOption(enable: true, 0);
        return "";
    }

    // No length is announced.
    private sealed class ChunkedContent(int bytes) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => stream.WriteAsync(new byte[bytes]).AsTask();

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
