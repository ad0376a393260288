using System.Text.Json;

namespace IlgpuLoader.Harness;

/// <summary>Writes a report's files.</summary>
internal static class ReportFiles
{
    /// <summary>Reads a perf.json.</summary>
    /// <exception cref="UnusableFileException">It cannot be read, or is no report.</exception>
    public static async Task<HarnessReport> ReadAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return ReportDocument.Read(await File.ReadAllTextAsync(path, cancellationToken));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new UnusableFileException($"{path} is no report that can be read: {exception.Message}", exception);
        }
    }

    /// <summary>Writes perf.json, perf.md and a chart for each scenario.</summary>
    /// <param name="folder">Where; made where it is missing.</param>
    /// <param name="report">The report.</param>
    public static void Write(string folder, HarnessReport report)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "perf.json"), ReportDocument.Write(report));
        WriteText(folder, report);
    }

    /// <summary>Writes perf.md and a chart for each scenario: what is made from a perf.json.</summary>
    /// <param name="folder">Where; made where it is missing.</param>
    /// <param name="report">The report.</param>
    public static void WriteText(string folder, HarnessReport report)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "perf.md"), MarkdownReport.Write(report));
        foreach (var scenario in report.Rows.GroupBy(row => row.Scenario))
        {
            File.WriteAllText(
                Path.Combine(folder, MarkdownReport.ChartName(scenario.Key)), SvgChart.Draw(scenario.Key, scenario.Select(row => row.Measurement)));
        }
    }
}
