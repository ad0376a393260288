using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace IlgpuLoader.Hosting;

/// <summary>
/// <c>GET /api/events</c>: server-sent events. Each stream follows the store itself, and asks for the next change when the last was sent: a client that reads slowly gets fewer, and holds no
/// memory but its connection's buffer. Safe for any thread.
/// </summary>
/// <param name="store">The models.</param>
/// <param name="documents">Their documents.</param>
/// <param name="options">Limits and intervals.</param>
/// <param name="time">The clock.</param>
internal sealed class EventStreams(IModelStore store, StatusDocuments documents, HttpOptions options, TimeProvider time)
{
    private int _streams;

    /// <summary>The streams that there are.</summary>
    public int Count => Volatile.Read(ref _streams);

    /// <summary>A stream.</summary>
    /// <param name="readsNeedToken">Whether reads need the token where it is mapped.</param>
    public RequestHandler Follow(Func<bool> readsNeedToken) => (context, cancellationToken) => FollowAsync(context, readsNeedToken, cancellationToken);

    private async ValueTask<Problem?> FollowAsync(HttpContext context, Func<bool> readsNeedToken, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _streams) > options.MaximumEventStreams)
        {
            _ = Interlocked.Decrement(ref _streams);
            return Problem.TooManyStreams(options.MaximumEventStreams);
        }

        try
        {
            context.Response.ContentType = "text/event-stream";
            // For nginx: what is buffered comes late.
            context.Response.Headers["X-Accel-Buffering"] = "no";
            context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
            if (!HttpMethods.IsHead(context.Request.Method))
            {
                await SendAsync(context.Response.BodyWriter, readsNeedToken, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested && cancellationToken.IsCancellationRequested)
        {
            // The host stops: the stream ends as it would after its last event.
        }
        finally
        {
            _ = Interlocked.Decrement(ref _streams);
        }

        return null;
    }

    private async Task SendAsync(PipeWriter output, Func<bool> readsNeedToken, CancellationToken cancellationToken)
    {
        // Ends what still waits when the store has no more to say.
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var sent = new Dictionary<string, ModelStatus>(StringComparer.Ordinal);
        foreach (var model in store.Models)
        {
            // Before the document: whatever changes between the two is sent once more.
            var status = model.Status;
            sent[status.Name] = status;
        }

        var id = 0L;
        var devices = documents.Devices;
        WriteEvent(output, "models"u8, ++id, documents.OfAll(readsNeedToken()));
        _ = await output.FlushAsync(cancellationToken).ConfigureAwait(false);

        var changes = store.WatchAsync(options.EventInterval, over.Token).GetAsyncEnumerator(over.Token);
        var next = changes.MoveNextAsync().AsTask();
        try
        {
            var idle = Task.Delay(options.KeepAliveInterval, time, over.Token);
            while (true)
            {
                if (await Task.WhenAny(next, idle).ConfigureAwait(false) == idle)
                {
                    await idle.ConfigureAwait(false);
                    output.Write(": still here\n\n"u8);
                    idle = Task.Delay(options.KeepAliveInterval, time, over.Token);
                }
                else if (await next.ConfigureAwait(false))
                {
                    var status = changes.Current;
                    if (!sent.TryGetValue(status.Name, out var last) || !ReferenceEquals(last, status))
                    {
                        sent[status.Name] = status;
                        WriteEvent(output, "model"u8, ++id, documents.OfModel(status), "model"u8);
                    }

                    next = changes.MoveNextAsync().AsTask();
                }
                else
                {
                    break;
                }

                if (documents.Devices is var numbers && !ReferenceEquals(numbers, devices))
                {
                    devices = numbers;
                    WriteEvent(output, "devices"u8, ++id, numbers, "devices"u8);
                }

                // Waits until the client has taken it.
                _ = await output.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            // An enumerator is disposed when it stands still.
            await next.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).ConfigureAwait(false);
            await changes.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static void WriteEvent(PipeWriter output, ReadOnlySpan<byte> name, long id, ReadOnlySpan<byte> json, ReadOnlySpan<byte> property = default)
    {
        output.Write("event: "u8);
        output.Write(name);
        output.Write("\nid: "u8);
        Span<byte> number = stackalloc byte[20];
        _ = Utf8Formatter.TryFormat(id, number, out var digits);
        output.Write(number[..digits]);
        output.Write("\ndata: "u8);
        if (property.IsEmpty)
        {
            output.Write(json);
        }
        else
        {
            output.Write("{\""u8);
            output.Write(property);
            output.Write("\":"u8);
            output.Write(json);
            output.Write("}"u8);
        }

        // JSON of one line: a line break would end the event's data.
        output.Write("\n\n"u8);
    }
}
