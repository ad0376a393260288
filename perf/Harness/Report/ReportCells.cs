using System.Globalization;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>The rows of a report as the cells of a table.</summary>
internal static class ReportCells
{
    /// <summary>The head of the columns.</summary>
    public static readonly string[] Head = ["what", "figure", "held against", "its figure", "ratio", "target"];

    /// <summary>The lines of a row: one for each thing that it is held against, at least one.</summary>
    public static IEnumerable<string[]> Of(Measurement row)
    {
        if (row.Statistic is not { } figure)
        {
            yield return [row.Name, "skipped: " + row.Skipped, "", "", "", ""];
            yield break;
        }

        string[] name = [row.Name + (row.Note is { } note ? $" ({note})" : ""), row.Format(figure)];
        if (row.Budget is { } budget)
        {
            var ratio = MeasuredStatistic.Of(row.Values.Select(value => budget / value));
            yield return [.. name, "budget", row.FormatBudget(), ratio.ToString("0.00"), "≤ " + row.FormatBudget()];
            name = ["", ""];
        }
        else if (row.Comparisons.IsEmpty)
        {
            var isLimit = row.Name.StartsWith(HarnessRow.LimitPrefix, StringComparison.Ordinal);
            yield return [.. name, isLimit ? "is a limit itself" : "", "", "", ""];
        }

        foreach (var comparison in row.Comparisons)
        {
            var what = $"{Word(comparison.Against)}: {comparison.Name}";
            yield return comparison.Ratio is { } ratio
                ? [.. name, what, row.Format(comparison.Other!.Value), ratio.ToString("0.00"), TargetOf(comparison)]
                : [.. name, what, "skipped: " + comparison.Skipped, "", TargetOf(comparison)];
            name = ["", ""];
        }
    }

    /// <summary>Whether a row reaches what it aims at; null where it aims at nothing, or was left out.</summary>
    public static bool? Reaches(Measurement row)
    {
        if (row.Statistic is not { } figure)
        {
            return null;
        }

        bool?[] all =
        [
            row.Budget is { } budget ? figure.Median <= budget : null,
            .. row.Comparisons.Select(comparison => comparison is { Target: { } target, Ratio: { } ratio } ? ratio.Median >= target : (bool?)null),
        ];
        return all.All(each => each is null) ? null : all.All(each => each is not false);
    }

    private static string Word(MeasuredAgainst against) => against switch
    {
        MeasuredAgainst.Limit => "limit",
        MeasuredAgainst.Peer => "peer",
        _ => "instead of",
    };

    private static string TargetOf(MeasuredComparison comparison) =>
        comparison.Target is { } target ? "≥ " + target.ToString("0.##", CultureInfo.InvariantCulture) : "";
}
