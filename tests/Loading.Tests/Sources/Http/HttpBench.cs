using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A server, and what reads from it on a clock that does not wait.</summary>
internal sealed class HttpBench : IAsyncDisposable
{
    private HttpBench(RemoteServer server, RemoteOptions options, TimeProvider? time)
    {
        (Server, Options) = (server, options);
        Http = new RemoteHttp(options, Traffic, time ?? Time);
        Reading = new RemoteReading(options, time ?? Time);
    }

    /// <summary>No silence counts as a cut on the clock that does not wait.</summary>
    public static RemoteOptions Patient { get; } = new() { Timeout = HurriedTime.Endless };

    public RemoteServer Server { get; }

    public RemoteOptions Options { get; }

    public HurriedTime Time { get; } = new();

    public RemoteTraffic Traffic { get; } = new();

    public RemoteHttp Http { get; }

    public RemoteReading Reading { get; }

    public static async Task<HttpBench> StartAsync(RemoteOptions? options = null, TimeProvider? time = null) =>
        new(await RemoteServer.StartAsync(), options ?? Patient, time);

    /// <summary>A GET of a path.</summary>
    public RemoteRequest Get(string path) => new(HttpMethod.Get, new Uri(Server.AddressOf(path)));

    public Task<HttpResponseMessage> SendAsync(RemoteRequest request) => Http.SendAsync(request, CancellationToken.None);

    public Task<HttpObject> OpenAsync(string path) => HttpObject.OpenAsync(Http, Get(path), CancellationToken.None);

    /// <summary>Reads a range of a file to its end.</summary>
    public static async Task<byte[]> ReadAsync(IRemoteObject file, long offset, long length)
    {
        await using var body = await file.OpenRangeAsync(offset, length, CancellationToken.None);
        using var bytes = new MemoryStream();
        await body.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        Reading.Dispose();
        await Server.DisposeAsync();
    }
}
