using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Telemetry of tests.</summary>
internal static class Telemetries
{
    private static readonly IMeterFactory Meters = new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>();

    /// <summary>Telemetry that nobody listens to.</summary>
    public static LoadTelemetry None() => new(Meters, NullLogger<LoadTelemetry>.Instance, TimeProvider.System);
}
