using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

/// <summary>Answers a request, or gives the problem that it is answered with.</summary>
internal delegate ValueTask<Problem?> RequestHandler(HttpContext context, CancellationToken cancellationToken);

/// <summary>
/// What stands before every endpoint: headers, host, method, token, the size of the body, the number of requests at a time; and behind it, what becomes of failures. At the endpoints and not in
/// the pipeline, so that an application that maps them among its own has all of it too. Safe for any thread.
/// </summary>
internal sealed partial class EndpointGate : IDisposable
{
    private readonly HttpOptions _options;
    private readonly HostGuard _hosts;
    private readonly TokenGuard _token;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly ILogger _logger;
    private readonly ConcurrencyLimiter _limiter;

    public EndpointGate(HttpOptions options, HostGuard hosts, TokenGuard token, IHostApplicationLifetime lifetime, ILogger<EndpointGate> logger)
    {
        _options = options;
        _hosts = hosts;
        _token = token;
        _lifetime = lifetime;
        _logger = logger;
        _limiter = new ConcurrencyLimiter(new ConcurrencyLimiterOptions
        {
            PermitLimit = options.MaximumConcurrentRequests,
            QueueLimit = options.MaximumQueuedRequests,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        });
    }

    /// <summary>Puts the gate before a handler.</summary>
    /// <param name="access">Who may pass.</param>
    /// <param name="method">The method, GET with HEAD beside it.</param>
    /// <param name="limited">Whether it counts among the requests at a time: not what stays open, and not health, which a host that is busy is asked for too.</param>
    /// <param name="readsNeedToken">Whether reads need the token where it is mapped.</param>
    /// <param name="handler">What is behind the gate; gets a token that ends with the request and with the host.</param>
    public RequestDelegate Before(Access access, string method, bool limited, Func<bool> readsNeedToken, RequestHandler handler) => async context =>
    {
        SetHeaders(context.Response.Headers);
        if (Refuse(context.Request, access, method, readsNeedToken) is { } refusal)
        {
            await refusal.WriteAsync(context, context.RequestAborted).ConfigureAwait(false);
            return;
        }

        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _lifetime.ApplicationStopping);
        Problem? problem;
        try
        {
            problem = limited
                ? await TakeTurnAsync(handler, context, end.Token).ConfigureAwait(false)
                : await handler(context, end.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone: nobody is there to be told.
            return;
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true })
            {
                // Behind a response Kestrel waits five seconds for a body that is still to come, and the host with it.
                context.Abort();
                return;
            }

            problem = Problem.Stopping();
        }
        catch (Exception exception) when (exception is ConnectionResetException or ConnectionAbortedException)
        {
            // Gone too, and found out by what was read or written.
            return;
        }
        catch (BadHttpRequestException exception)
        {
            // The client's mistake, of which Kestrel says what it is: a chunk that is none, a body that ends early or comes too slowly.
            problem = Problem.InvalidRequest(exception.StatusCode, exception.Message);
        }
#pragma warning disable CA1031 // Whatever it is: the client gets a problem without its text, the log all of it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            RequestFailed(_logger, context.Request.Method, access, exception);
            problem = Problem.Unexpected();
        }

        if (problem is not null && !context.Response.HasStarted)
        {
            await problem.WriteAsync(context, context.RequestAborted).ConfigureAwait(false);
        }
    };

    /// <inheritdoc/>
    public void Dispose() => _limiter.Dispose();

    private static void SetHeaders(IHeaderDictionary headers)
    {
        headers.XContentTypeOptions = "nosniff";
        headers.CacheControl = "no-store";
        headers["Referrer-Policy"] = "no-referrer";
    }

    private Problem? Refuse(HttpRequest request, Access access, string method, Func<bool> readsNeedToken)
    {
        if (!_hosts.Allows(request, access))
        {
            return Problem.HostNotAllowed(request.Host.Value ?? "");
        }

        var isGet = HttpMethods.IsGet(method);
        if (!HttpMethods.Equals(request.Method, method) && !(isGet && HttpMethods.IsHead(request.Method)))
        {
            return Problem.MethodNotAllowed(request.Method, isGet ? "GET, HEAD" : method);
        }

        // The size after the token: whoever has none learns only that.
        return RefuseByToken(request, access, readsNeedToken) ?? (request.ContentLength > _options.MaximumBodyBytes ? Problem.BodyTooLong(_options.MaximumBodyBytes) : null);
    }

    private Problem? RefuseByToken(HttpRequest request, Access access, Func<bool> readsNeedToken)
    {
        if (access is Access.Anonymous or Access.Health || (access == Access.Read && !readsNeedToken()) || _token.Allows(request))
        {
            return null;
        }

        return (access, _token.IsConfigured) switch
        {
            (_, true) => Problem.TokenNeeded(),
            (Access.Control, false) => Problem.ControlOff(),
            _ => Problem.TokenNotConfigured(),
        };
    }

    private async ValueTask<Problem?> TakeTurnAsync(RequestHandler handler, HttpContext context, CancellationToken cancellationToken)
    {
        using var turn = await _limiter.AcquireAsync(1, cancellationToken).ConfigureAwait(false);
        return turn.IsAcquired ? await handler(context, cancellationToken).ConfigureAwait(false) : Problem.TooManyRequests();
    }

    // Without the path: it is the client's text, and the model's name is in the problem's trace where it matters.
    [LoggerMessage(EventId = HttpEventIds.RequestFailed, EventName = nameof(RequestFailed), Level = LogLevel.Error, Message = "A request failed ({Method}, {Access}).")]
    private static partial void RequestFailed(ILogger logger, string method, Access access, Exception exception);
}
