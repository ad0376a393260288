using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class EventTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Stream_begins_with_all_models_and_goes_on_with_what_changes()
    {
        await using var server = await RunningServer.StartAsync(new StandInStore("bert", "llama"));
        await using var events = await EventReader.OpenAsync(server);
        Assert.Equal("text/event-stream", events.ContentType);
        var (name, id, data) = await events.NextAsync();
        Assert.Equal(("models", 1), (name, id));
        Assert.Equal((await server.GetAsync("/api/models")).GetRawText(), data);

        // Only this one: what the first event has is not sent again.
        server.Store["llama"].Become(ModelState.Queued);
        (name, id, data) = await events.NextAsync();
        Assert.Equal(("model", 2), (name, id));
        var model = JsonDocument.Parse(data).RootElement.GetProperty("model");
        Assert.Equal(("llama", "Queued"), (model.GetProperty("name").GetString(), model.GetProperty("state").GetString()));
        server.Store["bert"].Become(ModelState.Loading);
        (name, id, data) = await events.NextAsync();
        Assert.Equal(("model", 3), (name, id));
        Assert.Equal((await server.GetAsync("/api/models/bert")).GetProperty("model").GetRawText(), JsonDocument.Parse(data).RootElement.GetProperty("model").GetRawText());
    }

    [Fact]
    public async Task Devices_come_beside_models_when_their_numbers_have_changed()
    {
        var time = new ManualTime();
        await using var server = await RunningServer.StartAsync(services: services => services.AddSingleton<TimeProvider>(time));
        await using var events = await EventReader.OpenAsync(server);
        _ = await events.NextAsync();
        server.Store.Devices = [MetaDevice.Shared];
        time.Advance(TimeSpan.FromSeconds(1));
        server.Store["llama"].Become(ModelState.Loading);
        Assert.Equal("model", (await events.NextAsync()).Name);
        var (name, id, data) = await events.NextAsync();
        Assert.Equal(("devices", 3), (name, id));
        Assert.Equal("meta", JsonDocument.Parse(data).RootElement.GetProperty("devices")[0].GetProperty("id").GetString());

        // The same numbers are not sent again.
        time.Advance(TimeSpan.FromSeconds(1));
        server.Store["llama"].Become(ModelState.Loaded);
        Assert.Equal(("model", 4), ((await events.NextAsync()) is var next ? (next.Name, next.Id) : default));
        server.Store["llama"].Become(ModelState.Unloading);
        Assert.Equal("model", (await events.NextAsync()).Name);
    }

    [Fact]
    public async Task Idle_stream_says_that_it_is_there()
    {
        var time = new ManualTime();
        await using var server = await RunningServer.StartAsync(services: services => services.AddSingleton<TimeProvider>(time));
        await using var events = await EventReader.OpenAsync(server);
        _ = await events.NextAsync();
        for (var i = 0; i < 3; i++)
        {
            await time.WaitForTimersAsync();
            time.Advance(TimeSpan.FromSeconds(15));
            Assert.Equal(": still here", await events.ReadLineAsync());
            Assert.Equal("", await events.ReadLineAsync());
        }

        server.Store["llama"].Become(ModelState.Queued);
        Assert.Equal(("model", 2), ((await events.NextAsync()) is var next ? (next.Name, next.Id) : default));
    }

    [Fact]
    public async Task Streams_end_when_the_host_stops()
    {
        await using var server = await RunningServer.StartAsync();
        await using var events = await EventReader.OpenAsync(server);
        _ = await events.NextAsync();
        await server.StopAsync();
        // As a response ends, and not as a connection that breaks.
        Assert.Null(await events.ReadLineAsync());
    }

    [Fact]
    public async Task Streams_end_when_the_store_has_ended()
    {
        await using var server = await RunningServer.StartAsync();
        await using var events = await EventReader.OpenAsync(server);
        _ = await events.NextAsync();
        server.Store.End();
        Assert.Null(await events.ReadLineAsync());
    }

    [Fact]
    public async Task Streams_beyond_the_limit_are_refused_until_one_ends()
    {
        await using var server = await RunningServer.StartAsync(variables: ["Http__MaximumEventStreams=2"]);
        await using var first = await EventReader.OpenAsync(server);
        var second = await EventReader.OpenAsync(server);
        using var refused = await server.SendAsync(HttpMethod.Get, "/api/events");
        Assert.Equal(5, refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
        _ = await RunningServer.ProblemAsync(Task.FromResult(refused), 503, "TooMuch");

        await second.DisposeAsync();
        using var deadline = new CancellationTokenSource(Bound);
        while (true)
        {
            // The server hears of a connection that was closed in its own time.
            using var again = await server.SendAsync(HttpMethod.Get, "/api/events");
            if (again.StatusCode == HttpStatusCode.OK)
            {
                break;
            }

            await Task.Delay(10, deadline.Token);
        }
    }

    [Fact]
    public async Task Reader_that_does_not_read_is_given_no_more_than_fits_its_connection()
    {
        await using var server = await RunningServer.StartAsync();
        var model = server.Store["llama"];
        using var client = new TcpClient { ReceiveBufferSize = 4096 };
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        await client.GetStream().WriteAsync("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray());
        await using var reading = await EventReader.OpenAsync(server);
        _ = await reading.NextAsync();

        // A megabyte each: a reader gets each; nobody asks for the next on behalf of who does not read.
        const int changes = 40;
        for (var i = 0; i < changes; i++)
        {
            var text = new string('x', 1 << 20) + i;
            model.Become(status => status with { Path = text });
            var (_, _, data) = await reading.NextAsync();
            Assert.Contains($"x{i}\"", data, StringComparison.Ordinal);
        }

        // Each was given to the one, and to the other only what its connection holds: a few megabytes of the system's buffers.
        Assert.InRange(server.Store.Given - changes, 1, changes / 2);
    }

    private sealed class EventReader(HttpResponseMessage response, StreamReader reader) : IAsyncDisposable
    {
        public string? ContentType => response.Content.Headers.ContentType?.ToString();

        public static async Task<EventReader> OpenAsync(RunningServer server)
        {
            var response = await server.SendAsync(HttpMethod.Get, "/api/events");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            return new EventReader(response, new StreamReader(await response.Content.ReadAsStreamAsync(), Encoding.UTF8));
        }

        public Task<string?> ReadLineAsync() => reader.ReadLineAsync().WaitAsync(Bound);

        public async Task<(string Name, long Id, string Data)> NextAsync()
        {
            var name = await ReadLineAsync();
            var id = await ReadLineAsync();
            var data = await ReadLineAsync();
            Assert.Equal("", await ReadLineAsync());
            Assert.StartsWith("event: ", name, StringComparison.Ordinal);
            Assert.StartsWith("id: ", id, StringComparison.Ordinal);
            Assert.StartsWith("data: ", data, StringComparison.Ordinal);
            return (name![7..], long.Parse(id![4..]), data![6..]);
        }

        public ValueTask DisposeAsync()
        {
            reader.Dispose();
            response.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
