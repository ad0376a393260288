using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.TestKit;

/// <summary>
/// An HTTP server on this machine, with files that have ranges and validators and go wrong on demand, and with handlers of one's own. Two of them are two hosts. Safe for any thread.
/// </summary>
public sealed class RemoteServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly ConcurrentDictionary<string, Func<HttpContext, RecordedRequest, Task>> _handlers = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<RecordedRequest> _requests = [];
    private readonly CancellationTokenSource _ending = new();
    private volatile Func<HttpContext, RecordedRequest, Task>? _fallback;

    private RemoteServer(WebApplication application) => _application = application;

    /// <summary>Its address, with a slash at the end.</summary>
    public Uri Address { get; private set; } = new("http://127.0.0.1/");

    /// <summary>What it was asked so far, in order.</summary>
    public IReadOnlyList<RecordedRequest> Requests => [.. _requests];

    /// <summary>The bytes of all bodies that it has sent so far.</summary>
    public long BytesSent => _requests.Sum(request => request.BytesSent);

    /// <summary>Starts one, on a port that is free.</summary>
    public static async Task<RemoteServer> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        // What is written is with the system when the writing ends (a pipe of 1 byte would never be let go on), so that what a test counts was sent.
        builder.WebHost.UseKestrelCore().UseSockets(options => options.MaxWriteBufferSize = 2).ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            // Readers of tests take their time.
            options.Limits.MinResponseDataRate = null;
            options.Listen(IPAddress.Loopback, 0);
        });
        var application = builder.Build();
        var server = new RemoteServer(application);
        application.Run(server.AnswerAsync);
        await application.StartAsync();
        server.Address = new Uri(application.Urls.Single() + "/");
        return server;
    }

    /// <summary>The address of a path below it, which is taken as it is.</summary>
    public string AddressOf(string path) => Address + path.TrimStart('/');

    /// <summary>Serves a file.</summary>
    /// <param name="path">Its path, decoded.</param>
    /// <param name="content">What it holds.</param>
    public RemoteFile Add(string path, byte[] content) => Add(path, new RemoteContent(content));

    /// <inheritdoc cref="Add(string, byte[])"/>
    public RemoteFile Add(string path, RemoteContent content)
    {
        var file = new RemoteFile(content);
        Map(path, (context, request) => RemoteAnswer.SendAsync(context, request, file, _ending.Token));
        return file;
    }

    /// <summary>Answers a path by a handler.</summary>
    /// <param name="path">The path, decoded.</param>
    /// <param name="handler">Answers.</param>
    public void Map(string path, Func<HttpContext, Task> handler) => Map(path, (context, _) => handler(context));

    /// <summary>Answers by a handler what nothing else answers.</summary>
    public void MapFallback(Func<HttpContext, Task> handler) => _fallback = (context, _) => handler(context);

    /// <summary>Answers a request for a file, from a handler of one's own.</summary>
    public Task SendAsync(HttpContext context, RemoteFile file) =>
        RemoteAnswer.SendAsync(context, (RecordedRequest)context.Items[typeof(RecordedRequest)]!, file, _ending.Token);

    /// <summary>Serves a path no longer.</summary>
    public void Remove(string path) => _handlers.TryRemove(Normalize(path), out _);

    /// <summary>Forgets what it was asked.</summary>
    public void ForgetRequests() => _requests.Clear();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_ending.IsCancellationRequested)
        {
            return;
        }

        await _ending.CancelAsync();
        await _application.DisposeAsync();
        _ending.Dispose();
    }

    private static string Normalize(string path) => "/" + path.TrimStart('/');

    private void Map(string path, Func<HttpContext, RecordedRequest, Task> handler) => _handlers[Normalize(path)] = handler;

    private async Task AnswerAsync(HttpContext context)
    {
        var request = new RecordedRequest(
            context.Request.Method,
            context.Request.Path.Value!,
            context.Request.QueryString.Value ?? "",
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            context.Connection.Id);
        context.Items[typeof(RecordedRequest)] = request;
        _requests.Enqueue(request);
        try
        {
            if (_handlers.TryGetValue(request.Path, out var handler) || (handler = _fallback) is not null)
            {
                await handler(context, request);
            }
            else
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested || _ending.IsCancellationRequested)
        {
            // Whoever asked has gone, or the test is over.
            context.Abort();
        }
    }
}
