using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class ReportFilesTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("not JSON")]
    [InlineData("{}")]
    public async Task A_file_that_is_no_report_is_named(string? text)
    {
        using var folder = new TemporaryFolder();
        if (text is not null)
        {
            await File.WriteAllTextAsync(folder["perf.json"], text);
        }

        var exception = await Assert.ThrowsAsync<UnusableFileException>(() => ReportFiles.ReadAsync(folder["perf.json"], CancellationToken.None));
        Assert.StartsWith(folder["perf.json"] + " is no report that can be read: ", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_gets_the_document_the_report_and_a_chart_a_scenario()
    {
        using var folder = new TemporaryFolder();
        var report = Reports.Of(Reports.RowOf("keep", MeasuredAgainst.Limit, "reads", 1));
        ReportFiles.Write(folder["new"], report with { Rows = [.. report.Rows, report.Rows[0] with { Scenario = "cold" }] });
        Assert.Equal(
            ["perf-cold.svg", "perf-load.svg", "perf.json", "perf.md"], Directory.EnumerateFiles(folder["new"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        ReportFiles.WriteText(folder["text"], ReportDocument.Read(File.ReadAllText(folder["new/perf.json"])));
        Assert.Equal(
            ["perf-cold.svg", "perf-load.svg", "perf.md"], Directory.EnumerateFiles(folder["text"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(File.ReadAllText(folder["new/perf.md"]), File.ReadAllText(folder["text/perf.md"]));
        Assert.Equal(2, ReportDocument.Read(File.ReadAllText(folder["new/perf.json"])).Rows.Length);
    }
}
