using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary><c>GET /</c> and <c>/page/*</c>: the page, which holds no data of its own.</summary>
/// <param name="files">What was compiled in; nothing is read from the file system.</param>
internal sealed class PageEndpoints(PageFiles files)
{
    // The page has its own scripts and styles and asks its own host; nothing else runs in it, and nobody puts it into a frame.
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public ValueTask<Problem?> IndexAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var request = context.Request;
        var path = $"{request.PathBase.ToUriComponent()}{request.Path.ToUriComponent()}";
        if (path.Length == 0 || path[^1] == '/')
        {
            return WriteAsync(context, "index.html", cancellationToken);
        }

        // The page's addresses are relative, to the folder that its own is in. This one too: a proxy may have put more before it.
        context.Response.StatusCode = StatusCodes.Status308PermanentRedirect;
        context.Response.Headers.Location = $"./{path[(path.LastIndexOf('/') + 1)..]}/{request.QueryString.ToUriComponent()}";
        return ValueTask.FromResult<Problem?>(null);
    }

    public ValueTask<Problem?> FileAsync(HttpContext context, CancellationToken cancellationToken) =>
        WriteAsync(context, context.Request.RouteValues["file"] as string ?? "", cancellationToken);

    private async ValueTask<Problem?> WriteAsync(HttpContext context, string name, CancellationToken cancellationToken)
    {
        if (files.Find(name) is not { } file)
        {
            return Problem.NotFound();
        }

        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.CacheControl = "no-cache";
        headers.ETag = file.Tag;
        if (context.Request.Headers.IfNoneMatch.Any(value => value is not null && value.Split(',', StringSplitOptions.TrimEntries).Any(tag => tag == file.Tag || tag == $"W/{file.Tag}")))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return null;
        }

        await Json.WriteAsync(context, file.Content, cancellationToken, file.ContentType).ConfigureAwait(false);
        return null;
    }
}
