using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary><c>GET /metrics</c>: the meters in Prometheus' text format.</summary>
/// <param name="metrics">What was measured.</param>
internal sealed class MetricsEndpoint(PrometheusMetrics metrics)
{
    public async ValueTask<Problem?> ScrapeAsync(HttpContext context, CancellationToken cancellationToken)
    {
        await Json.WriteAsync(context, metrics.Scrape(), cancellationToken, PrometheusMetrics.ContentType).ConfigureAwait(false);
        return null;
    }
}
