using System.Text;

namespace IlgpuLoader.Harness;

/// <summary>A report as Markdown: a table and a chart for each scenario.</summary>
internal static class MarkdownReport
{
    /// <summary>The file of a scenario's chart.</summary>
    public static string ChartName(string scenario) => $"perf-{scenario}.svg";

    /// <summary>The whole report.</summary>
    public static string Write(HarnessReport report)
    {
        var text = new StringBuilder("# Performance\n\n");
        AppendHead(text, report);
        foreach (var scenario in report.Rows.GroupBy(row => row.Scenario))
        {
            text.Append("\n## ").Append(scenario.Key).Append("\n\n");
            AppendTable(text, [.. scenario]);
            text.Append("\n![").Append(Escape(scenario.Key)).Append("](").Append(ChartName(scenario.Key)).Append(")\n");
        }

        return text.ToString();
    }

    /// <summary>All rows in one table, as a README has it.</summary>
    public static string WriteTable(HarnessReport report)
    {
        var text = new StringBuilder();
        AppendHead(text, report);
        text.Append('\n');
        AppendTable(text, report.Rows);
        return text.ToString();
    }

    private static void AppendHead(StringBuilder text, HarnessReport report)
    {
        text.Append(Escape(report.Machine)).Append("; ").Append(FormattableString.Invariant($"{report.Date:yyyy-MM-dd}")).Append(".\n");
        text.Append(Escape(report.Data)).Append(".\n`").Append(report.Command.Replace('`', '\'')).Append("`\n\n");
        text.Append("Figures and ratios are medians, with the least and the greatest. A ratio is what ours is to the other of the same round; above 1 ours is better.\n");
    }

    private static void AppendTable(StringBuilder text, IReadOnlyList<HarnessRow> rows)
    {
        text.Append("| ").AppendJoin(" | ", ReportCells.Head).Append(" |\n");
        text.Append('|').AppendJoin('|', ReportCells.Head.Select((_, column) => column is 1 or 3 or 4 or 5 ? "---:" : "---")).Append("|\n");
        foreach (var line in rows.SelectMany(row => ReportCells.Of(row.Measurement)))
        {
            text.Append("| ").AppendJoin(" | ", line.Select(Escape)).Append(" |\n");
        }
    }

    // A name, or what a program said, is no table and no markup.
    private static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            escaped.Append(character switch
            {
                '|' or '*' or '_' or '`' or '[' or ']' or '<' or '\\' => $"\\{character}",
                '\n' or '\r' => " ",
                _ => character.ToString(),
            });
        }

        return escaped.ToString();
    }
}
