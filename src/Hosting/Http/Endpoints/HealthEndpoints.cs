using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace IlgpuLoader.Hosting;

/// <summary>
/// <c>GET /healthz</c>: whether the process does its work, else it is to be started again; <c>GET /readyz</c>: whether the required models are there, else others are to be asked. Checks of the application
/// with the same tags count too.
/// </summary>
/// <param name="checks">The checks of the host.</param>
/// <param name="store">The models.</param>
internal sealed class HealthEndpoints(HealthCheckService checks, IModelStore store)
{
    public async ValueTask<Problem?> LiveAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(check => check.Tags.Contains(IlgpuLoaderHealth.LiveTag), cancellationToken).ConfigureAwait(false);
        SetStatus(context, report);
        var document = new HealthDocument(report.Status.ToString(), Describe(report));
        await Json.WriteAsync(context, document, ApiJsonContext.Default.HealthDocument, cancellationToken).ConfigureAwait(false);
        return null;
    }

    public async ValueTask<Problem?> ReadyAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(check => check.Tags.Contains(IlgpuLoaderHealth.ReadyTag), cancellationToken).ConfigureAwait(false);
        SetStatus(context, report);
        var document = new ReadyDocument(report.Status.ToString(), Describe(report), [.. store.Models.Select(model => Describe(model.Status))]);
        await Json.WriteAsync(context, document, ApiJsonContext.Default.ReadyDocument, cancellationToken).ConfigureAwait(false);
        return null;
    }

    // Degraded still answers: what is optional is missing.
    private static void SetStatus(HttpContext context, HealthReport report) =>
        context.Response.StatusCode = report.Status == HealthStatus.Unhealthy ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;

    private static CheckDescription[] Describe(HealthReport report) =>
        [.. report.Entries.Select(entry => new CheckDescription(entry.Key, entry.Value.Status.ToString()))];

    private static ReadyModel Describe(ModelStatus status) => new(
        status.Name,
        status.State.ToString(),
        status.IsRequired,
        status.IsAvailable,
        status.Download is { } download ? Math.Round(100 * download.Fraction, 1) : null,
        status.Progress is { } progress ? Math.Round(100 * ModelDescriptions.Fraction(progress), 1) : null,
        status.Failure?.Code);
}
