namespace IlgpuLoader.Hosting.Tests;

/// <summary>Telemetry of tests.</summary>
internal static class Telemetries
{
    /// <summary>Telemetry that nobody listens to.</summary>
    public static LoadTelemetry None() => new();
}
