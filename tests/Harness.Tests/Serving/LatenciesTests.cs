using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class LatenciesTests
{
    [Fact]
    public void Percentiles_are_values_that_occurred_and_the_order_does_not_matter()
    {
        // 1 to 200 in another order: 100 of them are at most 100, 198 at most 198.
        var latencies = Latencies.Of(Enumerable.Range(0, 200).Select(i => (double)((i * 7 % 200) + 1)));
        Assert.Equal(new Latencies(200, 100, 198, 200), latencies);
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 1, 2)]
    [InlineData(3, 2, 3)]
    [InlineData(99, 50, 99)]
    [InlineData(100, 50, 99)]
    [InlineData(101, 51, 100)]
    public void The_rank_is_the_least_that_has_the_share_at_or_below_it(int count, double median, double p99) =>
        Assert.Equal(new Latencies(count, median, p99, count), Latencies.Of(Enumerable.Range(1, count).Select(i => (double)i)));

    [Fact]
    public void Without_answers_there_is_nothing_to_sum_up() => Assert.Throws<ArgumentException>(() => Latencies.Of([]));
}
