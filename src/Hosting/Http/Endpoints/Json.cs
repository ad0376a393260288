using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary>Writes a response of JSON in one piece, with its length.</summary>
internal static class Json
{
    public static Task WriteAsync<T>(
        HttpContext context, T document, JsonTypeInfo<T> type, CancellationToken cancellationToken, string contentType = "application/json") =>
        WriteAsync(context, JsonSerializer.SerializeToUtf8Bytes(document, type), cancellationToken, contentType);

    public static Task WriteAsync(HttpContext context, byte[] json, CancellationToken cancellationToken, string contentType = "application/json")
    {
        context.Response.ContentType = contentType;
        context.Response.ContentLength = json.Length;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.Body.WriteAsync(json, cancellationToken).AsTask();
    }
}
