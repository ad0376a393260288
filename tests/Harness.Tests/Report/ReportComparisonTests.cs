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
    public void What_is_new_is_listed_a_row_that_is_gone_is_a_regression_and_scenarios_that_did_not_run_say_nothing()
    {
        var old = Reports.Of("a", 1.0);
        old = old with { Rows = [.. old.Rows, new HarnessRow("other", old.Rows[0].Measurement)] };
        var changes = ReportComparison.Compare(old, Reports.Of("b", 1.0));
        Assert.Equal(["load: b", "load: a", "load: a"], changes.Select(change => change.Row));
        Assert.Equal([false, false, true], changes.Select(change => change.IsRegression));
        Assert.Null(changes[0].Old);
        Assert.Null(changes[1].New);
    }

    [Fact]
    public void A_row_that_is_left_out_now_is_a_regression_and_one_that_was_left_out_before_is_none()
    {
        var (measured, leftOut) = (Reports.Of("a", 1.0), Reports.Of(Measurement.LeftOut("a", "no room")));
        Assert.True(ReportComparison.Compare(measured, leftOut)[^1].IsRegression);
        Assert.All(ReportComparison.Compare(leftOut, measured), change => Assert.False(change.IsRegression));
    }

    [Fact]
    public void The_setting_of_the_fastest_reads_is_no_row_that_can_be_gone()
    {
        var (old, now) = (Measurement.Of("limit: plain reads, 2 lanes", MeasuredQuantity.Seconds, [1]), Measurement.Of("limit: plain reads, 4 lanes", MeasuredQuantity.Seconds, [1]));
        Assert.Empty(ReportComparison.Compare(Reports.Of(old), Reports.Of(now)));
    }

    [Theory]
    [InlineData(MeasuredQuantity.Bytes, 104, false)]
    [InlineData(MeasuredQuantity.Bytes, 106, true)]
    [InlineData(MeasuredQuantity.Seconds, 900, false)]
    public void Bytes_of_a_budget_may_grow_by_a_twentieth_and_times_may_be_what_they_are(MeasuredQuantity quantity, double now, bool expected)
    {
        var old = Measurement.Of("peak", quantity, [100]) with { Budget = 1000 };
        var changes = ReportComparison.Compare(Reports.Of(old), Reports.Of(old with { Values = [now] }));
        Assert.Equal(expected, changes.Any(change => change.IsRegression));
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
