using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
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
    private readonly bool _hasPage;
    private bool _areReadsOpen;

    public HttpFace(
        IOptions<HttpOptions> options,
        IModelStore store,
        HealthCheckService checks,
        PrometheusMetrics metrics,
        PageFiles page,
        IServer server,
        IHostApplicationLifetime lifetime,
        TimeProvider time,
        ILoggerFactory loggers)
    {
        var given = options.Value;
        var token = new TokenGuard(TokenFile.Read(given, out _));
        if (given.TokenFile is { } file && TokenFile.IsReadByOthers(file))
        {
            TokenFileReadByOthers(loggers.CreateLogger<HttpFace>(), file);
        }

        var addresses = new ListenAddresses(server);
        bool NeedToken() => !_areReadsOpen && !addresses.IsLoopbackOnly;
        _gate = new EndpointGate(given, new HostGuard(addresses, given.AllowedHosts), token, NeedToken, lifetime, loggers.CreateLogger<EndpointGate>());
        var documents = new StatusDocuments(store, new DeviceNumbers(store, given.EventInterval, time), token.IsConfigured, NeedToken);
        _models = new ModelEndpoints(store, documents, new ModelControl(lifetime, loggers.CreateLogger<ModelControl>()), given);
        _tensors = new TensorEndpoints(store, given);
        _events = new EventStreams(store, documents, given, time);
        _health = new HealthEndpoints(checks, store);
        _metrics = new MetricsEndpoint(metrics);
        _page = new PageEndpoints(page);
        _hasPage = given.Page;
    }

    /// <summary>Maps the endpoints.</summary>
    /// <param name="endpoints">Where to.</param>
    /// <param name="openReads">Whether the application guards what is read, so that it needs no token of ours.</param>
    /// <returns>The endpoints, for conventions.</returns>
    public RouteGroupBuilder Map(IEndpointRouteBuilder endpoints, bool openReads)
    {
        _areReadsOpen = openReads;
        var group = endpoints.MapGroup("");
        Get(group, "/healthz", Access.Anonymous, _health.LiveAsync, limited: false);
        Get(group, "/readyz", Access.Anonymous, _health.ReadyAsync, limited: false);
        Get(group, "/metrics", Access.Read, _metrics.ScrapeAsync);
        Get(group, "/api/models", Access.Read, _models.ListAsync);
        Get(group, "/api/models/{name}", Access.Read, _models.ShowAsync);
        Get(group, "/api/models/{name}/tensors", Access.Read, _tensors.ListAsync);
        Get(group, "/api/events", Access.Read, _events.FollowAsync, limited: false);
        foreach (var action in Enum.GetValues<ModelAction>())
        {
            _ = group.Map($"/api/models/{{name}}/{ModelControl.NameOf(action)}", _gate.Before(Access.Control, HttpMethods.Post, limited: true, _models.Begin(action)));
        }

        if (_hasPage)
        {
            Get(group, "/", Access.Anonymous, _page.IndexAsync);
            Get(group, "/page/{**file}", Access.Anonymous, _page.FileAsync);
        }

        return group;
    }

    /// <summary>Answers all paths that there are not, as a host does that has no others.</summary>
    public void MapRest(IEndpointRouteBuilder endpoints)
    {
        var gate = _gate;
        _ = endpoints.Map("/{**path}", context =>
            gate.Before(Access.Anonymous, context.Request.Method, limited: true, static (_, _) => ValueTask.FromResult<Problem?>(Problem.NotFound()))(context))
            .WithOrder(int.MaxValue);
    }

    /// <inheritdoc/>
    public void Dispose() => _gate.Dispose();

    // All methods: those that are wrong get a problem of ours, also among the endpoints of an application.
    private void Get(RouteGroupBuilder group, string pattern, Access access, RequestHandler handler, bool limited = true) =>
        _ = group.Map(pattern, _gate.Before(access, HttpMethods.Get, limited, handler));

    [LoggerMessage(
        EventId = HttpEventIds.TokenFileReadByOthers, EventName = nameof(TokenFileReadByOthers), Level = LogLevel.Warning, Message = "Every user of this machine can read the token in {File}: chmod 600 it.")]
    private static partial void TokenFileReadByOthers(ILogger logger, string file);
}
