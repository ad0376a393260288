using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace IlgpuLoader.Hosting;

/// <summary>Whether the models are there that the host is ready with.</summary>
/// <param name="store">The models.</param>
internal sealed class ModelsHealthCheck(IModelStore store) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(context);
        ModelStatus[] statuses = [.. store.Models.Select(model => model.Status)];
        var data = statuses.ToDictionary(status => status.Name, status => (object)ModelHealth.Of(status), StringComparer.OrdinalIgnoreCase);
        string[] missing = [.. statuses.Where(status => status is { IsRequired: true, IsAvailable: false }).Select(status => $"{status.Name}: {ModelHealth.Of(status).Describe()}")];
        string[] worse = [.. statuses.Select(DescribeDegradation).OfType<string>()];
        string[] said = [.. missing, .. worse];
        var description = said.Length > 0 ? string.Join("; ", said) : "all required models are available";
        var health = missing.Length > 0 ? context.Registration.FailureStatus : worse.Length > 0 ? HealthStatus.Degraded : HealthStatus.Healthy;
        return Task.FromResult(new HealthCheckResult(health, description, exception: null, data));
    }

    // What is not as it should be, though requests may come; null where all is well, and for what is missing, which is said above.
    private static string? DescribeDegradation(ModelStatus status) => status switch
    {
        { IsAvailable: false, IsRequired: false, State: ModelState.Failed } => $"{status.Name}: {ModelHealth.Of(status).Describe()}",
        { IsAvailable: true, Failure: { IsReload: true } failure } => $"{status.Name}: the last reload failed, {failure.Code}",
        { IsAvailable: true, LastLoad.OldLayers: > 0 and var layers } => $"{status.Name}: {layers} {(layers == 1 ? "layer has" : "layers have")} old weights",
        _ => null,
    };
}
