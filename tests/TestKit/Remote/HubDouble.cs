using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.TestKit;

/// <summary>
/// A Hub on this machine: its description of repositories, its files behind a relative redirect, and large files behind another to a second host, with the headers and the errors of the real one.
/// </summary>
public sealed class HubDouble : IAsyncDisposable
{
    private readonly Dictionary<string, HubDoubleRepository> _repositories = new(StringComparer.Ordinal);

    private HubDouble(RemoteServer hub, RemoteServer storage) => (Hub, Storage) = (hub, storage);

    /// <summary>The Hub.</summary>
    public RemoteServer Hub { get; }

    /// <summary>The host of the large files.</summary>
    public RemoteServer Storage { get; }

    /// <summary>Whether large files lie on the Hub's own host, as a mirror may have it: the redirects to them name it all the same.</summary>
    public bool StoresOnHub { get; set; }

    /// <summary>The bytes of files that both have sent; descriptions do not count.</summary>
    public long FileBytesSent => Hub.BytesSent + Storage.BytesSent;

    /// <summary>Starts one.</summary>
    public static async Task<HubDouble> StartAsync()
    {
        var hub = new HubDouble(await RemoteServer.StartAsync(), await RemoteServer.StartAsync());
        hub.Hub.MapFallback(hub.AnswerAsync);
        return hub;
    }

    /// <summary>Adds a repository.</summary>
    /// <param name="path">Its name; with <c>datasets/</c> before it where it is one.</param>
    public HubDoubleRepository Add(string path) => _repositories[path] = new HubDoubleRepository();

    /// <summary>Counts requests.</summary>
    /// <param name="method">Such as <c>GET</c>.</param>
    /// <param name="part">What is in their paths.</param>
    public int Count(string method, string part) => Hub.Requests.Concat(Storage.Requests).Count(request => request.Method == method && request.Path.Contains(part, StringComparison.Ordinal));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Hub.DisposeAsync();
        await Storage.DisposeAsync();
    }

    private static Task FailAsync(HttpContext context, int status, string code, string message)
    {
        context.Response.StatusCode = status;
        if (code.Length > 0)
        {
            context.Response.Headers["X-Error-Code"] = code;
        }

        context.Response.Headers["X-Error-Message"] = message;
        context.Response.ContentLength = 0;
        return Task.CompletedTask;
    }

    private Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!.TrimStart('/');
        const string api = "api/";
        const string cached = "api/resolve-cache/";
        if (path.StartsWith(cached, StringComparison.Ordinal))
        {
            return WithAsync(context, path[cached.Length..], "/resolve/", (repository, rest) => SendFileAsync(context, repository, rest, isRedirected: true));
        }

        if (path.StartsWith(api, StringComparison.Ordinal))
        {
            path = path[api.Length..];
            path = path.StartsWith("models/", StringComparison.Ordinal) ? path["models/".Length..] : path;
            return WithAsync(context, path, "/revision/", (repository, rest) => DescribeAsync(context, repository, rest));
        }

        return WithAsync(context, path, "/resolve/", (repository, rest) => SendFileAsync(context, repository, rest, isRedirected: false));
    }

    private Task WithAsync(HttpContext context, string path, string separator, Func<HubDoubleRepository, string, Task> answer)
    {
        var at = path.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0 || !_repositories.TryGetValue(path[..at], out var repository))
        {
            return FailAsync(context, 404, "RepoNotFound", "Repository not found");
        }

        var token = context.Request.Headers.Authorization.ToString();
        return repository.Token is { } wanted && token != $"Bearer {wanted}" ? FailAsync(context, 401, "", token.Length == 0 ? "Invalid username or password." : "Invalid credentials in Authorization header")
            : repository.IsGated ? FailAsync(context, 403, "GatedRepo", "Access to this model is restricted.")
            : answer(repository, path[(at + separator.Length)..]);
    }

    private static Task DescribeAsync(HttpContext context, HubDoubleRepository repository, string revision)
    {
        if (repository.ListingStatus is { } status)
        {
            return FailAsync(context, status, "", "No listing");
        }

        if (repository.Resolve(Uri.UnescapeDataString(revision)) is not { } commit)
        {
            return FailAsync(context, 404, "RevisionNotFound", "Invalid rev id");
        }

        var files = repository.FilesOf(commit).Keys.Concat(repository.ListedBesides).Select(path => new { rfilename = path });
        return context.Response.WriteAsync(JsonSerializer.Serialize(new { sha = repository.SaidCommit ?? commit, siblings = files }));
    }

    private Task SendFileAsync(HttpContext context, HubDoubleRepository repository, string rest, bool isRedirected)
    {
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        if (repository.Resolve(Uri.UnescapeDataString(rest[..slash])) is not { } commit)
        {
            return FailAsync(context, 404, "RevisionNotFound", "Invalid rev id");
        }

        var headers = context.Response.Headers;
        headers["X-Repo-Commit"] = repository.SaidCommit ?? commit;
        if (!repository.FilesOf(commit).TryGetValue(rest[(slash + 1)..], out var file))
        {
            return FailAsync(context, 404, "EntryNotFound", "Entry not found");
        }

        if (file.IsLarge)
        {
            var stored = "large/" + file.Tag;
            var storage = StoresOnHub ? Hub : Storage;
            storage.Map("/" + stored, request => storage.SendAsync(request, file.Served));
            headers["X-Linked-Etag"] = $"\"{file.Tag}\"";
            headers["X-Linked-Size"] = file.Served.Content.Length.ToString(CultureInfo.InvariantCulture);
            return RedirectAsync(context, 302, $"{storage.Address}{stored}?signature=secret");
        }

        if (!isRedirected)
        {
            return RedirectAsync(context, 307, $"/api/resolve-cache{context.Request.Path.ToUriComponent()}");
        }

        file.Served.EntityTag = $"\"{file.Tag}\"";
        return Hub.SendAsync(context, file.Served);
    }

    private static Task RedirectAsync(HttpContext context, int status, string location)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.Location = location;
        context.Response.ContentLength = 0;
        return Task.CompletedTask;
    }
}
