using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>All endpoints of a host and what they share; one in a container.</summary>
internal sealed partial class HttpFace : IDisposable
{
    private readonly EndpointGate _gate;
    private readonly ModelEndpoints _models;
    private readonly TensorEndpoints _tensors;
    private readonly EventStreams _events;
    private readonly HealthEndpoints _health;
    private readonly MetricsEndpoint _metrics;
    private readonly PageEndpoints _page;
    private readonly ListenAddresses _addresses;
    private readonly HttpOptions _options;

    public HttpFace(
        IOptions<HttpOptions> options,
        IModelStore store,
        HealthCheckService checks,
        PrometheusMetrics metrics,
        PageFiles page,
        ListenAddresses addresses,
        IHostApplicationLifetime lifetime,
        TimeProvider time,
        ILoggerFactory loggers)
    {
        var given = options.Value;
        var text = TokenFile.Read(given, out _);
        var token = new TokenGuard(text);
        var logger = loggers.CreateLogger<HttpFace>();
        if (given.TokenFile is { } file && TokenFile.IsReadByOthers(file))
        {
            TokenFileReadByOthers(logger, file);
        }

        if (text?.Length < TokenFile.ShortestToken)
        {
            ShortToken(logger, TokenFile.ShortestToken);
        }

        (_addresses, _options) = (addresses, given);
        _gate = new EndpointGate(given, new HostGuard(addresses, given.AllowedHosts), token, lifetime, loggers.CreateLogger<EndpointGate>());
        var documents = new StatusDocuments(store, new DeviceNumbers(store, given.EventInterval, time), token.IsConfigured);
        _models = new ModelEndpoints(store, documents, new ModelControl(lifetime, loggers.CreateLogger<ModelControl>()), given);
        _tensors = new TensorEndpoints(store, given);
        _events = new EventStreams(store, documents, given, time);
        _health = new HealthEndpoints(checks, store);
        _metrics = new MetricsEndpoint(metrics);
        _page = new PageEndpoints(page);
    }

    /// <summary>Maps the endpoints.</summary>
    /// <param name="endpoints">Where to.</param>
    /// <param name="openReads">Whether the application guards what is read, so that it needs no token of ours.</param>
    /// <returns>The endpoints, for conventions.</returns>
    public RouteGroupBuilder Map(IEndpointRouteBuilder endpoints, bool openReads)
    {
        var group = endpoints.MapGroup("");
        // Each mapping's own: an application may have one that it guards and another that it does not.
        bool ReadsNeedToken() => _options.RequireTokenForReads || (!openReads && !_addresses.IsLoopbackOnly);
        void Get(string pattern, Access access, RequestHandler handler, bool limited = true) => Map(pattern, access, HttpMethods.Get, limited, handler);
        // All methods: those that are wrong get a problem of ours, also among the endpoints of an application.
        void Map(string pattern, Access access, string method, bool limited, RequestHandler handler) =>
            _ = group.Map(pattern, _gate.Before(access, method, limited, ReadsNeedToken, handler));

        Get("/healthz", Access.Health, _health.LiveAsync, limited: false);
        Get("/readyz", Access.Health, _health.ReadyAsync, limited: false);
        Get("/metrics", Access.Read, _metrics.ScrapeAsync);
        Get("/api/models", Access.Read, _models.List(ReadsNeedToken));
        Get("/api/models/{name}", Access.Read, _models.ShowAsync);
        Get("/api/models/{name}/tensors", Access.Read, _tensors.ListAsync);
        Get("/api/events", Access.Read, _events.Follow(ReadsNeedToken), limited: false);
        foreach (var action in Enum.GetValues<ModelAction>())
        {
            Map($"/api/models/{{name}}/{ModelControl.NameOf(action)}", Access.Control, HttpMethods.Post, limited: true, _models.Begin(action));
        }

        if (_options.Page)
        {
            Get("/", Access.Anonymous, _page.IndexAsync);
            Get("/page/{**file}", Access.Anonymous, _page.FileAsync);
        }

        return group;
    }

    /// <summary>Answers all paths that there are not, as a host does that has no others.</summary>
    public void MapRest(IEndpointRouteBuilder endpoints)
    {
        var gate = _gate;
        _ = endpoints.Map("/{**path}", context =>
            gate.Before(Access.Anonymous, context.Request.Method, limited: true, static () => true, static (_, _) => ValueTask.FromResult<Problem?>(Problem.NotFound()))(context))
            .WithOrder(int.MaxValue);
    }

    /// <inheritdoc/>
    public void Dispose() => _gate.Dispose();

    [LoggerMessage(
        EventId = HttpEventIds.TokenFileReadByOthers, EventName = nameof(TokenFileReadByOthers), Level = LogLevel.Warning, Message = "Every user of this machine can read the token in {File}: chmod 600 it.")]
    private static partial void TokenFileReadByOthers(ILogger logger, string file);

    [LoggerMessage(
        EventId = HttpEventIds.ShortToken, EventName = nameof(ShortToken), Level = LogLevel.Warning, Message = "The token has fewer than {Shortest} characters: who tries many finds it. Take a longer one (openssl rand -hex 32).")]
    private static partial void ShortToken(ILogger logger, int shortest);
}
