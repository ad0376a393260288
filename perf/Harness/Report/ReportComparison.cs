using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>What became of one ratio from an earlier report to this one.</summary>
/// <param name="Row">The row.</param>
/// <param name="Against">What it is held against.</param>
/// <param name="Old">The ratio before; null where it is new.</param>
/// <param name="New">The ratio now; null where it is gone.</param>
/// <param name="IsRegression">Whether it got worse beyond doubt.</param>
internal sealed record RatioChange(string Row, string Against, MeasuredStatistic? Old, MeasuredStatistic? New, bool IsRegression);

/// <summary>Compares the ratios of two reports, and what of budgets of bytes is taken; what was measured and is not any more is a regression too. Times are not compared: machines differ, and so does one machine from hour to hour.</summary>
internal static class ReportComparison
{
    private const string BudgetName = "budget";

    // Less than this is noise, also of medians of 11 pairs.
    private const double Tolerance = 0.05;

    /// <summary>Compares every ratio that is in one of both.</summary>
    public static IReadOnlyList<RatioChange> Compare(HarnessReport old, HarnessReport current)
    {
        var before = Ratios(old);
        var now = Ratios(current);
        var measured = current.Rows.Select(row => row.Scenario).ToHashSet();
        var rows = current.Rows.Where(row => row.Measurement.Statistic is not null).Select(row => (row.Scenario, row.Measurement.Name)).ToHashSet();
        return
        [
            .. now.Select(pair => ChangeOf(pair.Key, before.TryGetValue(pair.Key, out var ratio) ? ratio : null, pair.Value)),
            // A scenario that did not run this time says nothing.
            .. before.Where(pair => !now.ContainsKey(pair.Key) && measured.Contains(pair.Key.Scenario)).Select(pair => ChangeOf(pair.Key, pair.Value, null)),
            .. old.Rows.Where(row => row.Measurement.Statistic is not null && measured.Contains(row.Scenario) && !IsLimit(row)
                    && !rows.Contains((row.Scenario, row.Measurement.Name)))
                .Select(row => new RatioChange($"{row.Scenario}: {row.Measurement.Name}", "the row itself", null, null, IsRegression: true)),
        ];
    }

    /// <summary>Writes the changes as a table.</summary>
    public static void Write(TextWriter output, IReadOnlyList<RatioChange> changes)
    {
        TerminalReport.Write(output,
        [
            ["ratio", "held against", "before", "now", "change"],
            .. changes.Select(change => new[]
            {
                change.Row,
                change.Against,
                change.Old?.ToString("0.00") ?? "",
                change.New?.ToString("0.00") ?? "not measured",
                (change.IsRegression, change.Old, change.New) switch
                {
                    (true, _, _) => "REGRESSION",
                    (_, { } from, { } to) => FormattableString.Invariant($"{(to.Median / from.Median) - 1:+0%;-0%;0%}"),
                    (_, null, _) => "new",
                    _ => "",
                },
            }),
        ]);
        var regressions = changes.Count(change => change.IsRegression);
        output.WriteLine(regressions == 0 ? "no regression" : $"{regressions} {(regressions == 1 ? "regression" : "regressions")}");
    }

    private static RatioChange ChangeOf((string Scenario, string Row, string Against) key, MeasuredStatistic? old, MeasuredStatistic? current) =>
        new($"{key.Scenario}: {key.Row}", key.Against, old, current, old is { } from && current is { } to && (key.Against == BudgetName ? HasGrown(from, to) : HasFallen(from, to)));

    // The median is lower by more than noise, and lower than any round of before.
    private static bool HasFallen(MeasuredStatistic old, MeasuredStatistic current) =>
        current.Median < old.Median * (1 - Tolerance) && current.Median < old.Minimum;

    // Bytes are the same from run to run, nearly: more of the budget is taken than before.
    private static bool HasGrown(MeasuredStatistic old, MeasuredStatistic current) => current.Median * (1 + Tolerance) < old.Median;

    // Its name has the setting that was fastest, which changes from run to run.
    private static bool IsLimit(HarnessRow row) => row.Measurement.Name.StartsWith(HarnessRow.LimitPrefix, StringComparison.Ordinal);

    private static Dictionary<(string Scenario, string Row, string Against), MeasuredStatistic> Ratios(HarnessReport report)
    {
        var ratios = new Dictionary<(string, string, string), MeasuredStatistic>();
        foreach (var (scenario, row) in report.Rows)
        {
            if (row is { Quantity: MeasuredQuantity.Bytes, Budget: { } budget, Values.IsEmpty: false })
            {
                ratios[(scenario, row.Name, BudgetName)] = MeasuredStatistic.Of(row.Values.Select(value => budget / value));
            }

            // The setting of the fastest plain reads changes from run to run: limits are known by their order.
            var limits = 0;
            foreach (var comparison in row.Comparisons)
            {
                var against = comparison.Against == MeasuredAgainst.Limit ? $"limit {++limits}" : comparison.Name;
                if (comparison.Ratio is { } ratio)
                {
                    ratios[(scenario, row.Name, against)] = ratio;
                }
            }
        }

        return ratios;
    }
}
