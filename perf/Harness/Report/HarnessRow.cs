using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A measurement of a scenario.</summary>
internal sealed record HarnessRow(string Scenario, Measurement Measurement)
{
    /// <summary>What the names of limits begin with that stand in a report by themselves.</summary>
    public const string LimitPrefix = "limit: ";

    /// <summary>What tells it from all others, in this report and in earlier ones.</summary>
    public string Key => $"{Scenario}: {Measurement.Name}";
}
