using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace IlgpuLoader.Hosting;

/// <summary>Whether the service that loads models has ended by a failure, after which only a new process helps.</summary>
/// <param name="liveness">What the service says.</param>
internal sealed class LoadingServiceHealthCheck(ServiceLiveness liveness) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(context);
        return Task.FromResult(liveness.Failure is { } failure
            ? new HealthCheckResult(context.Registration.FailureStatus, $"the loading service has ended: {failure.GetType().Name}", failure)
            : HealthCheckResult.Healthy("the loading service runs"));
    }
}
