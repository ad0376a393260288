using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace IlgpuLoader.TestKit;

/// <summary>How a <see cref="RemoteServer"/> answers a request for a file: ranges and validators by RFC 9110, and what is to go wrong.</summary>
internal static class RemoteAnswer
{
    private const int ChunkBytes = 64 << 10;

    /// <summary>Answers.</summary>
    /// <param name="context">The request and its response.</param>
    /// <param name="record">Counts what is sent.</param>
    /// <param name="file">The file.</param>
    /// <param name="ending">The server ends.</param>
    public static async Task SendAsync(HttpContext context, RecordedRequest record, RemoteFile file, CancellationToken ending)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, ending);
        var token = either.Token;
        var fault = file.NextFault() ?? new RemoteFault();
        if (fault.IsSilent)
        {
            await Task.Delay(Timeout.Infinite, token);
        }

        if (fault.Latency > TimeSpan.Zero)
        {
            await Task.Delay(fault.Latency, token);
        }

        if (fault.Until is { } awaited)
        {
            await awaited.WaitAsync(token);
        }

        var response = context.Response;
        AddHeaders(response, file, fault);
        if (fault.Status is not null || fault.Redirect is not null)
        {
            response.StatusCode = fault.Status ?? StatusCodes.Status302Found;
            response.ContentLength = 0;
            return;
        }

        var content = file.Content;
        var (offset, length) = (0L, content.Length);
        var isPartial = !fault.WithoutRanges
            && record["Range"] is { } range
            && (fault.IgnoresIfRange || record["If-Range"] is not { } ifRange || file.Matches(ifRange));
        if (isPartial)
        {
            if (Resolve(record["Range"]!, content.Length) is not var (first, count))
            {
                response.StatusCode = StatusCodes.Status416RangeNotSatisfiable;
                response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{content.Length}");
                response.ContentLength = 0;
                return;
            }

            (offset, length) = (first, count);
            response.StatusCode = StatusCodes.Status206PartialContent;
            if (fault.ContentRange is null)
            {
                response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {offset}-{offset + length - 1}/{content.Length}");
            }
        }

        response.ContentLength = fault.IsChunked || fault.IsEndless ? null : fault.ContentLength ?? length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            context.Features.Get<IHttpResponseBodyFeature>()!.DisableBuffering();
            await SendBodyAsync(context, record, content, offset, length, fault, token);
        }
    }

    private static void AddHeaders(HttpResponse response, RemoteFile file, RemoteFault fault)
    {
        if ((fault.EntityTag ?? file.EntityTag) is { Length: > 0 } tag)
        {
            response.Headers.ETag = tag;
        }

        if (file.LastModified is { } modified)
        {
            response.Headers.LastModified = modified.ToString("R", CultureInfo.InvariantCulture);
        }

        if (!fault.WithoutRanges)
        {
            response.Headers.AcceptRanges = "bytes";
        }

        foreach (var (name, value) in file.Headers)
        {
            response.Headers[name] = value;
        }

        // In several headers, as one has its own limit.
        for (var left = fault.HeaderBytes; left > 0; left -= 1024)
        {
            response.Headers.Append("X-Long", new string('x', 1024));
        }

        Set("Location", fault.Redirect);
        Set("Retry-After", fault.RetryAfter);
        Set("Content-Encoding", fault.ContentEncoding);
        Set("Content-Range", fault.ContentRange);

        void Set(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                response.Headers[name] = value;
            }
        }
    }

    private static (long Offset, long Length)? Resolve(string header, long length)
    {
        // Whoever asks for several ranges gets the first.
        var range = RangeHeaderValue.Parse(header).Ranges.First();
        var (first, last) = range.From is { } from ? (from, Math.Min(range.To ?? long.MaxValue, length - 1)) : (Math.Max(0, length - range.To!.Value), length - 1);
        return first > last ? null : (first, last - first + 1);
    }

    private static async Task SendBodyAsync(
        HttpContext context, RecordedRequest record, RemoteContent content, long offset, long length, RemoteFault fault, CancellationToken token)
    {
        var end = Math.Min(length, Math.Min(fault.CutAfter ?? long.MaxValue, fault.StallAfter ?? long.MaxValue));
        end = fault is { ContentLength: { } claimed, IsChunked: false } ? Math.Min(end, claimed) : end;
        var chunk = new byte[(int)Math.Clamp(fault.BytesPerSecond / 20 ?? ChunkBytes, 1, ChunkBytes)];
        for (long sent = 0; sent < end || fault.IsEndless;)
        {
            var count = (int)Math.Min(chunk.Length, fault.IsEndless && sent >= end ? chunk.Length : end - sent);
            content.Read(offset + sent, chunk.AsSpan(0, count));
            record.AddBytesSent(count);
            await context.Response.Body.WriteAsync(chunk.AsMemory(0, count), token);
            sent += count;
            if (fault.BytesPerSecond is { } pace)
            {
                await Task.Delay(TimeSpan.FromSeconds((double)count / pace), token);
            }
        }

        if (fault.StallAfter < length)
        {
            await context.Response.Body.FlushAsync(token);
            await Task.Delay(Timeout.Infinite, token);
        }

        if (fault.CutAfter < length)
        {
            // All that was written is with the system by now, which sends it before the end of the stream: as many bytes arrive as are said. Aborting would discard some.
            await context.Response.Body.FlushAsync(token);
            context.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket.Shutdown(SocketShutdown.Send);
            await Task.Delay(Timeout.Infinite, token);
        }
    }
}
