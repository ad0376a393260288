using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class MeasurementTests
{
    [Theory]
    [InlineData(new double[] { 3 }, 3, 3, 3)]
    [InlineData(new double[] { 5, 1, 3 }, 3, 1, 5)]
    [InlineData(new double[] { 4, 1, 2, 8 }, 3, 1, 8)]
    public void A_statistic_has_the_middle_the_least_and_the_greatest(double[] values, double median, double minimum, double maximum)
    {
        Assert.Equal(new MeasuredStatistic(median, minimum, maximum), MeasuredStatistic.Of(values));
    }

    [Fact]
    public void Nothing_has_no_statistic() => Assert.Throws<ArgumentException>(() => MeasuredStatistic.Of([]));

    [Fact]
    public void A_ratio_is_that_of_each_pair_and_not_of_the_medians()
    {
        var comparison = new MeasuredComparison("limit", MeasuredAgainst.Limit, [new(1, 1), new(10, 5), new(2, 8)]);
        Assert.Equal(new MeasuredStatistic(1, 0.5, 4), comparison.Ratio);
        Assert.Equal(new MeasuredStatistic(5, 1, 8), comparison.Other);
    }

    [Fact]
    public void Seconds_become_a_speed_where_bytes_were_moved()
    {
        var row = Measurement.Of("a", MeasuredQuantity.Seconds, [1, 2, 4]);
        Assert.Equal("2.00 (1.00 to 4.00) s", row.Format(row.Statistic!.Value));
        Assert.Equal("1.00 (0.50 to 2.00) GB/s", (row with { Bytes = 2_000_000_000 }).Format(row.Statistic!.Value));
        var fast = Measurement.Of("a", MeasuredQuantity.Seconds, [0.001]);
        Assert.Equal("1.000 ms", fast.Format(fast.Statistic!.Value));
        var memory = Measurement.Of("a", MeasuredQuantity.Bytes, [3 << 20]) with { Budget = 5 << 20 };
        Assert.Equal(("3.0 MiB", "5 MiB"), (memory.Format(memory.Statistic!.Value), memory.FormatBudget()));
    }

    [Fact]
    public async Task Rounds_turn_the_order_and_pair_what_was_measured_in_one_round()
    {
        var order = new List<string>();
        var time = 0;
        Task<double> Next(string name)
        {
            order.Add(name);
            return Task.FromResult((double)++time);
        }

        var row = await InterleavedRounds.MeasureAsync(
            "a",
            2,
            _ => Next("ours"),
            [
                new Contestant("one", MeasuredAgainst.Limit, _ => Next("one")) { Target = 0.9 },
                Contestant.Missing("two", MeasuredAgainst.Peer, "not here"),
                new Contestant("three", MeasuredAgainst.Baseline, _ => Next("three")),
            ],
            CancellationToken.None);
        Assert.Equal(["three", "one", "ours", "ours", "one", "three"], order);
        Assert.Equal([3.0, 4.0], row.Values.ToArray());
        Assert.Equal([new MeasuredPair(3, 2), new MeasuredPair(4, 5)], row.Comparisons[0].Pairs.ToArray());
        Assert.Equal(0.9, row.Comparisons[0].Target);
        Assert.Equal(("two", "not here", null), (row.Comparisons[1].Name, row.Comparisons[1].Skipped, row.Comparisons[1].Ratio));
        Assert.Equal([new MeasuredPair(3, 1), new MeasuredPair(4, 6)], row.Comparisons[2].Pairs.ToArray());
    }

    [Fact]
    public async Task What_is_done_to_warm_up_ends_when_it_has_settled_and_does_not_count()
    {
        // Ten is far from three, and three is close to two and a half.
        var times = new Queue<double>([10, 3, 2.5, 1, 2]);
        var row = await InterleavedRounds.MeasureAsync(
            "a", 2, _ => Task.FromResult(times.Dequeue()), [], CancellationToken.None, warmUp: true);
        Assert.Equal([1.0, 2.0], row.Values.ToArray());
        Assert.Empty(times);
    }

    [Fact]
    public async Task What_never_settles_is_done_four_times_to_warm_up()
    {
        var calls = 0;
        var row = await InterleavedRounds.MeasureAsync(
            "a", 2, _ => Task.FromResult(++calls % 2 == 0 ? 1.0 : 2.0), [], CancellationToken.None, warmUp: true);
        Assert.Equal((6, 2), (calls, row.Values.Length));
    }

    [Fact]
    public async Task Cancellation_ends_rounds_between_two_measurements()
    {
        using var stop = new CancellationTokenSource();
        var calls = 0;
        await Assert.ThrowsAsync<OperationCanceledException>(() => InterleavedRounds.MeasureAsync(
            "a",
            5,
            async _ =>
            {
                calls++;
                await stop.CancelAsync();
                return 1.0;
            },
            [],
            stop.Token));
        Assert.Equal(1, calls);
    }
}
