using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness.Tests;

/// <summary>Reports with numbers that can be computed in the head.</summary>
internal static class Reports
{
    public const string Scenario = "load";

    /// <summary>A report of one row with one limit; ours always takes 1 s.</summary>
    public static HarnessReport Of(string row, params double[] limitSeconds) => Of(RowOf(row, MeasuredAgainst.Limit, "plain reads, 2 lanes x 4 MiB", limitSeconds));

    public static HarnessReport Of(params Measurement[] rows) => new(
        "machine | of <one> core",
        new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero),
        "dotnet run",
        "1 MiB",
        [.. rows.Select(row => new HarnessRow(Scenario, row))]);

    public static Measurement RowOf(string name, MeasuredAgainst against, string other, params double[] otherSeconds) => new(
        name,
        MeasuredQuantity.Seconds,
        [.. otherSeconds.Select(_ => 1.0)],
        [new MeasuredComparison(other, against, [.. otherSeconds.Select(seconds => new MeasuredPair(1, seconds))])]);
}
