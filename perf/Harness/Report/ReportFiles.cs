namespace IlgpuLoader.Harness;

/// <summary>Writes a report's files.</summary>
internal static class ReportFiles
{
    /// <summary>Writes perf.json, perf.md and a chart for each scenario.</summary>
    /// <param name="folder">Where; made where it is missing.</param>
    /// <param name="report">The report.</param>
    public static void Write(string folder, HarnessReport report)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "perf.json"), ReportDocument.Write(report));
        File.WriteAllText(Path.Combine(folder, "perf.md"), MarkdownReport.Write(report));
        foreach (var scenario in report.Rows.GroupBy(row => row.Scenario))
        {
            File.WriteAllText(
                Path.Combine(folder, MarkdownReport.ChartName(scenario.Key)), SvgChart.Draw(scenario.Key, scenario.Select(row => row.Measurement)));
        }
    }
}
