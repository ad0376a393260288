using System.Threading.Channels;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>The event streams of a scripted server: each begins with the whole document, and has then what a test sends. Safe for any thread.</summary>
internal sealed class ScriptedStreams
{
    private readonly Lock _lock = new();
    private readonly List<Channel<string>> _open = [];
    private bool _isCut;

    /// <summary>Sends an event to every stream that is open.</summary>
    public void Send(string type, string data)
    {
        lock (_lock)
        {
            _open.ForEach(stream => stream.Writer.TryWrite($"event: {type}\ndata: {data}\n\n"));
        }
    }

    /// <summary>Ends all streams, and refuses new ones until they are mended.</summary>
    public void Cut()
    {
        lock (_lock)
        {
            _isCut = true;
            _open.ForEach(stream => stream.Writer.TryComplete());
            _open.Clear();
        }
    }

    /// <summary>Opens streams again.</summary>
    public void Mend()
    {
        lock (_lock)
        {
            _isCut = false;
        }
    }

    /// <summary>Serves a stream until it is cut or its reader leaves.</summary>
    public async Task ServeAsync(HttpContext context, Func<string> document)
    {
        var stream = Channel.CreateUnbounded<string>();
        lock (_lock)
        {
            if (_isCut)
            {
                context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                return;
            }

            stream.Writer.TryWrite($": as a host begins\nid: 1\nevent: models\ndata: {document()}\n\n");
            _open.Add(stream);
        }

        context.Response.ContentType = "text/event-stream";
        try
        {
            await foreach (var text in stream.Reader.ReadAllAsync(context.RequestAborted))
            {
                await context.Response.WriteAsync(text, context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The page was left.
        }
        finally
        {
            lock (_lock)
            {
                _open.Remove(stream);
            }
        }
    }
}
