namespace IlgpuLoader.Harness;

/// <summary>Writes rows as a Markdown table, which is readable on a terminal too.</summary>
internal static class ReportWriter
{
    public static void Write(TextWriter output, string command, IReadOnlyList<Row> rows)
    {
        output.WriteLine($"{Machine.Describe()}");
        output.WriteLine($"`{command}`, {DateTime.UtcNow:yyyy-MM-dd}");
        output.WriteLine();
        string[][] cells = [["scenario", "figure", "held against", "ratio", "target"], .. rows.Select(row => new[] { row.Scenario, row.Figure, row.Against, row.Ratio, row.Target })];
        var widths = Enumerable.Range(0, cells[0].Length).Select(column => cells.Max(row => row[column].Length)).ToArray();
        for (var i = 0; i < cells.Length; i++)
        {
            output.WriteLine("| " + string.Join(" | ", cells[i].Select((cell, column) => cell.PadRight(widths[column]))) + " |");
            if (i == 0)
            {
                output.WriteLine("|" + string.Join("|", widths.Select(width => new string('-', width + 2))) + "|");
            }
        }
    }
}
