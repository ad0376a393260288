using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Writes the report: tables to read, and the same numbers as JSON at its end.</summary>
internal static class ResultsWriter
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void Write(string path, Results results)
    {
        using var output = new StreamWriter(path);
        output.WriteLine("# gpu-bench");
        output.WriteLine();
        output.WriteLine(results.Passed ? "All checks passed." : "**Not everything is right: see the checks.**");
        if (results.Failure is { } failure)
        {
            output.WriteLine();
            output.WriteLine($"The run ended early: {failure}");
        }

        output.WriteLine();
        Table(output, ["fact", ""], results.Facts.Select(fact => new[] { fact.Key, fact.Value }));
        Section(output, "Checks", ["check", "result", "comparisons", "seconds"], results.Checks.Select(check => new[]
        {
            check.Name, check.Passed ? "equal" : "NOT EQUAL", Text(check.Cases), Text(check.Seconds, "0.0"),
        }));
        foreach (var text in results.Checks.SelectMany(check => check.Failures))
        {
            output.WriteLine($"- {text}");
        }

        Section(output, "Start-up", ["step", "seconds"], results.StartUp.Select(step => new[] { step.Name, Text(step.Seconds, "0.000") }));
        foreach (var group in results.Figures.GroupBy(figure => figure.Group))
        {
            Section(output, $"Figures: {group.Key}", ["figure", "median", "least to greatest", "unit", "held against", "ratio", "target", "note"], group.Select(Cells));
        }

        output.WriteLine();
        output.WriteLine("```json");
        output.WriteLine(JsonSerializer.Serialize(results, Json));
        output.WriteLine("```");
    }

    private static string[] Cells(FigureRow row) =>
    [
        row.Name,
        Text(row.Median, "0.00"),
        row.Least is null ? "" : $"{Text(row.Least, "0.00")} to {Text(row.Greatest, "0.00")}",
        row.Unit,
        row.Against ?? "",
        Text(row.Ratio, "0.00"),
        row.Target is { } target ? $"≥ {Text(target, "0.0")}" : "",
        row.Note ?? "",
    ];

    private static void Section(StreamWriter output, string title, string[] head, IEnumerable<string[]> rows)
    {
        var all = rows.ToArray();
        if (all.Length > 0)
        {
            output.WriteLine();
            output.WriteLine($"## {title}");
            output.WriteLine();
            Table(output, head, all);
        }
    }

    private static void Table(StreamWriter output, string[] head, IEnumerable<string[]> rows)
    {
        string[][] cells = [head, .. rows];
        var widths = Enumerable.Range(0, head.Length).Select(column => cells.Max(row => row[column].Length)).ToArray();
        for (var i = 0; i < cells.Length; i++)
        {
            output.WriteLine("| " + string.Join(" | ", cells[i].Select((cell, column) => cell.Replace('\n', ' ').PadRight(widths[column]))) + " |");
            if (i == 0)
            {
                output.WriteLine("|" + string.Join("|", widths.Select(width => new string('-', width + 2))) + "|");
            }
        }
    }

    private static string Text(IFormattable? number, string? format = null) => number?.ToString(format, CultureInfo.InvariantCulture) ?? "";
}
