using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class ReportFilesTests
{
    [Fact]
    public void A_folder_gets_the_document_the_report_and_a_chart_a_scenario()
    {
        using var folder = new TemporaryFolder();
        var report = Reports.Of(Reports.RowOf("keep", MeasuredAgainst.Limit, "reads", 1));
        ReportFiles.Write(folder["new"], report with { Rows = [.. report.Rows, report.Rows[0] with { Scenario = "cold" }] });
        Assert.Equal(
            ["perf-cold.svg", "perf-load.svg", "perf.json", "perf.md"], Directory.EnumerateFiles(folder["new"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(2, ReportDocument.Read(File.ReadAllText(folder["new/perf.json"])).Rows.Length);
    }
}
