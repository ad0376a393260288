using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>
/// A host that says what a test tells it to say: the page as it is compiled in, and behind it documents and events of the HTTP contract that come from the test, so that every state can be shown at
/// will. What a browser's script tells it goes to <c>/scripted</c>. Listens on a free port of the loopback address.
/// </summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    // The contract's, word for word: what the page breaks of it, the browser reports.
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly Assembly Hosting = typeof(IModelStore).Assembly;

    private readonly WebApplication _application;
    private readonly ScriptedStreams _streams = new();
    private readonly List<string> _calls = [];
    private volatile JsonObject _script = [];

    private ScriptedServer()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        _application = builder.Build();
        _application.Urls.Add("http://127.0.0.1:0");
        _application.Use(SetHeaders);
        _application.MapGet("/", context => WritePageAsync(context, "index.html"));
        _application.MapGet("/page/{file}", context => WritePageAsync(context, (string)context.Request.RouteValues["file"]!));
        _application.MapGet("/api/models", ForReaders(context => WriteAsync(context, StatusCodes.Status200OK, JsonNode.Parse(Document())!)));
        _application.MapGet("/api/models/{name}/tensors", ForReaders(WriteTensorsAsync));
        _application.MapGet("/api/events", ForReaders(context => _streams.ServeAsync(context, Document)));
        _application.MapPost("/api/models/{name}/{action}", ControlAsync);
        MapScript(_application);
    }

    /// <summary>Where it listens, such as <c>http://127.0.0.1:34567</c>.</summary>
    public string Address => _application.Urls.First();

    /// <summary>Starts one.</summary>
    public static async Task<ScriptedServer> StartAsync()
    {
        var server = new ScriptedServer();
        await server._application.StartAsync();
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        _streams.Cut();
        await _application.DisposeAsync();
    }

    private static Task SetHeaders(HttpContext context, RequestDelegate next)
    {
        context.Response.Headers.XContentTypeOptions = "nosniff";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers["Referrer-Policy"] = "no-referrer";
        return next(context);
    }

    private static async Task WritePageAsync(HttpContext context, string file)
    {
        await using var content = Hosting.GetManifestResourceStream("page/" + file);
        if (content is null)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        context.Response.Headers.ContentSecurityPolicy = Policy;
        context.Response.ContentType = Path.GetExtension(file) switch
        {
            ".html" => "text/html; charset=utf-8",
            ".css" => "text/css; charset=utf-8",
            ".js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        await content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    private static async Task WriteAsync(HttpContext context, int status, JsonNode document)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = status < 400 ? "application/json" : "application/problem+json";
        await context.Response.WriteAsync(document.ToJsonString(), context.RequestAborted);
    }

    private static Task WriteProblemAsync(HttpContext context, int status, string code, string detail) =>
        WriteAsync(context, status, new JsonObject { ["title"] = code, ["status"] = status, ["code"] = code, ["detail"] = detail });

    // PUT /scripted: { document, tensors, largestPage, token, conflict }; POST /scripted/events: { event, data }; /scripted/cut and /scripted/mend; GET /scripted/calls.
    private void MapScript(IEndpointRouteBuilder routes)
    {
        routes.MapPut("/scripted", async context =>
        {
            _script = (await JsonNode.ParseAsync(context.Request.Body))!.AsObject();
            lock (_calls)
            {
                _calls.Clear();
            }

            _streams.Mend();
        });
        routes.MapPost("/scripted/events", async context =>
        {
            var sent = (await JsonNode.ParseAsync(context.Request.Body))!;
            _streams.Send((string)sent["event"]!, sent["data"]!.ToJsonString());
        });
        routes.MapPost("/scripted/cut", _ =>
        {
            _streams.Cut();
            return Task.CompletedTask;
        });
        routes.MapPost("/scripted/mend", _ =>
        {
            _streams.Mend();
            return Task.CompletedTask;
        });
        routes.MapGet("/scripted/calls", context =>
        {
            lock (_calls)
            {
                return context.Response.WriteAsJsonAsync(_calls.ToArray());
            }
        });
    }

    private string Document() => _script["document"]!.ToJsonString();

    private RequestDelegate ForReaders(RequestDelegate answer) => context =>
        (bool?)_script["document"]?["needsToken"] == true && !HasToken(context) ? RefuseTokenAsync(context) : answer(context);

    private Task WriteTensorsAsync(HttpContext context) => ScriptedTensors.Page(_script, context.Request) is { } page
        ? WriteAsync(context, StatusCodes.Status200OK, page)
        : WriteProblemAsync(context, StatusCodes.Status400BadRequest, "InvalidQuery", "limit is larger than this host allows.");

    private async Task ControlAsync(HttpContext context)
    {
        var call = string.Create(CultureInfo.InvariantCulture, $"{context.Request.RouteValues["action"]} {context.Request.RouteValues["name"]}");
        if (!HasToken(context))
        {
            await RefuseTokenAsync(context);
            return;
        }

        lock (_calls)
        {
            _calls.Add(call);
        }

        if (_script["conflict"] is { } detail)
        {
            await WriteProblemAsync(context, StatusCodes.Status409Conflict, "Conflict", (string)detail!);
            return;
        }

        await WriteAsync(context, StatusCodes.Status202Accepted, new JsonObject
        {
            ["schema"] = "ilgpu-loader/accepted/1",
            ["model"] = (string?)context.Request.RouteValues["name"],
            ["action"] = (string?)context.Request.RouteValues["action"],
        });
    }

    private bool HasToken(HttpContext context) => context.Request.Headers.Authorization == $"Bearer {(string?)_script["token"]}";

    private static Task RefuseTokenAsync(HttpContext context)
    {
        context.Response.Headers.WWWAuthenticate = "Bearer";
        return WriteProblemAsync(context, StatusCodes.Status401Unauthorized, "TokenNeeded", "This needs the token.");
    }
}
