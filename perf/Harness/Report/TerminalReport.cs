namespace IlgpuLoader.Harness;

/// <summary>A report as a plain table.</summary>
internal static class TerminalReport
{
    // What a peer says when it fails may be long.
    private const int WidestCell = 90;

    public static void Write(TextWriter output, HarnessReport report)
    {
        output.WriteLine(report.Machine);
        output.WriteLine($"{report.Data}; {report.Command}");
        output.WriteLine();
        var rows = report.Rows.GroupBy(row => row.Scenario)
            .SelectMany(scenario => scenario.SelectMany(row => ReportCells.Of(row.Measurement)).Prepend([scenario.Key, "", "", "", "", ""]));
        Write(output, [ReportCells.Head, .. rows]);
        var missed = report.Rows.Where(row => ReportCells.Reaches(row.Measurement) is false).ToArray();
        output.WriteLine(missed.Length == 0 ? "all targets that were measured are reached" : $"not reached: {string.Join("; ", missed.Select(row => row.Key))}");
    }

    /// <summary>Writes cells in columns.</summary>
    public static void Write(TextWriter output, IReadOnlyList<string[]> rows)
    {
        var widths = Enumerable.Range(0, rows[0].Length).Select(column => Math.Min(WidestCell, rows.Max(row => row[column].Length))).ToArray();
        foreach (var row in rows)
        {
            output.WriteLine(string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
        }
    }
}
