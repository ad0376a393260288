using IlgpuLoader.Loading;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class ReportComparisonTests
{
    [Theory]
    // Lower by more than 5 %, and below every round of before.
    [InlineData(new[] { 0.98, 1.0, 1.02 }, new[] { 0.90, 0.94, 0.99 }, true)]
    // Lower by less than 5 %.
    [InlineData(new[] { 0.99, 1.0, 1.01 }, new[] { 0.95, 0.96, 0.97 }, false)]
    // Lower by more, but there was a round before that was as low.
    [InlineData(new[] { 0.70, 1.0, 1.3 }, new[] { 0.78, 0.80, 0.82 }, false)]
    [InlineData(new[] { 0.98, 1.0, 1.02 }, new[] { 1.5, 1.6, 1.7 }, false)]
    public void A_ratio_has_regressed_when_its_median_fell_beyond_noise_and_beyond_all_rounds(double[] before, double[] now, bool expected)
    {
        var change = Assert.Single(ReportComparison.Compare(Reports.Of("keep", before), Reports.Of("keep", now)));
        Assert.Equal(("load: keep", expected), (change.Row, change.IsRegression));
    }

    [Fact]
    public void Times_do_not_count_only_ratios_do()
    {
        // Ten times slower, and so is the limit.
        var slow = new Measurement("keep", MeasuredQuantity.Seconds, [10], [new MeasuredComparison("limit", MeasuredAgainst.Limit, [new MeasuredPair(10, 9)])]);
        var change = Assert.Single(ReportComparison.Compare(Reports.Of("keep", 0.9), Reports.Of(slow)));
        Assert.False(change.IsRegression);
        Assert.Equal(change.Old!.Value.Median, change.New!.Value.Median, 1e-9);
    }

    [Fact]
    public void A_limit_is_the_same_though_other_reads_were_fastest_this_time()
    {
        var now = Reports.Of(Reports.RowOf("keep", MeasuredAgainst.Limit, "plain reads, 4 lanes x 1 MiB", 0.5));
        var change = Assert.Single(ReportComparison.Compare(Reports.Of("keep", 1.0), now));
        Assert.True(change.IsRegression);
    }

    [Fact]
    public void What_is_new_or_gone_is_listed_and_no_regression_but_scenarios_that_did_not_run_are_not()
    {
        var old = Reports.Of("a", 1.0);
        old = old with { Rows = [.. old.Rows, new HarnessRow("other", old.Rows[0].Measurement)] };
        var changes = ReportComparison.Compare(old, Reports.Of("b", 1.0));
        Assert.Equal(["load: b", "load: a"], changes.Select(change => change.Row));
        Assert.All(changes, change => Assert.False(change.IsRegression));
        Assert.Null(changes[0].Old);
        Assert.Null(changes[1].New);
    }

    [Fact]
    public void The_table_names_regressions_and_counts_them()
    {
        using var output = new StringWriter();
        ReportComparison.Write(output, ReportComparison.Compare(Reports.Of("keep", 1.0), Reports.Of("keep", 0.5)));
        Assert.Matches("load: keep +limit 1 +1.00 +0.50 +REGRESSION", output.ToString());
        Assert.Contains("1 regression\n", output.ToString().ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }
}
