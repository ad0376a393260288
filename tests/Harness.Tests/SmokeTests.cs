using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

/// <summary>The program itself, with files of a mebibyte and one round.</summary>
public sealed class SmokeTests
{
    [LinuxTheory]
    [InlineData("open")]
    [InlineData("load")]
    [InlineData("gguf")]
    [InlineData("torch")]
    [InlineData("numpy")]
    [InlineData("zero-copy")]
    [InlineData("cold")]
    [InlineData("small")]
    [InlineData("huge")]
    [InlineData("slices")]
    [InlineData("models")]
    [InlineData("sharded")]
    [InlineData("capped")]
    [InlineData("verify")]
    public async Task Every_row_is_held_against_a_limit_or_a_budget_or_says_why_not(string scenario)
    {
        using var folder = new TemporaryFolder();
        await ToolProcess.RunSelfAsync(
            [scenario, "--mib", "1", "--rounds", "1", "--data", folder["data"], "--out", folder["out"]], CancellationToken.None);
        var report = await ReportFiles.ReadAsync(folder["out/perf.json"], CancellationToken.None);
        Assert.NotEmpty(report.Rows);
        Assert.All(report.Rows, row => Assert.True(
            row.Measurement.Skipped is not null
            || row.Measurement.Budget is not null
            || row.Measurement.Name.StartsWith(HarnessRow.LimitPrefix, StringComparison.Ordinal)
            || row.Measurement.Comparisons.Any(comparison => comparison.Against == MeasuredAgainst.Limit),
            row.Key));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder["data"]).Select(Path.GetFileName)
            .Except(AllScenarios.List.Single(known => known.Name == scenario).FilesOf(new HarnessOptions { Mebibytes = 1 }).Select(file => file.Name), StringComparer.Ordinal));
    }
}
