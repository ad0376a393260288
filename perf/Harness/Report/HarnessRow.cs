using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A measurement of a scenario.</summary>
internal sealed record HarnessRow(string Scenario, Measurement Measurement)
{
    /// <summary>What tells it from all others, in this report and in earlier ones.</summary>
    public string Key => $"{Scenario}: {Measurement.Name}";
}
