using IlgpuLoader.Microbenchmarks;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The check that CI makes of perf/Microbenchmarks/allocations.json.</summary>
public sealed class AllocationBudgetTests
{
    [Theory]
    [InlineData(1_000_000, 1_000_000, "Kept")]
    [InlineData(1_000_000, 1_010_000, "Kept")]
    [InlineData(1_000_000, 1_010_001, "Above")]
    [InlineData(1_000_000, 898_976, "Kept")]
    [InlineData(1_000_000, 898_975, "FarBelow")]
    [InlineData(1_000_000, 0, "FarBelow")]
    [InlineData(0, 0, "Kept")]
    [InlineData(0, 1024, "Kept")]
    [InlineData(0, 1025, "Above")]
    [InlineData(1000, 0, "Kept")]
    [InlineData(long.MaxValue, 0, "FarBelow")]
    public void What_is_allocated_is_held_against_the_budget(long budget, long actual, string verdict)
    {
        var result = new AllocationBudget("open", budget, actual);
        Assert.Equal(verdict, result.Verdict.ToString());
        Assert.Equal(verdict is not "Above", result.Passes);
    }

    [Fact]
    public void Names_that_only_one_side_has_fail()
    {
        var results = AllocationBudget.Compare(
            new Dictionary<string, long> { ["open"] = 5, ["gone"] = 7 },
            new Dictionary<string, long> { ["open"] = 5, ["new"] = 9 });
        Assert.Equal(
            [
                new AllocationBudget("open", 5, 5),
                new AllocationBudget("new", null, 9),
                new AllocationBudget("gone", 7, null),
            ],
            results);
        Assert.Equal([true, false, false], results.Select(result => result.Passes));
    }

    [Theory]
    [InlineData(10_000L, 20_000L, "open: 20,000 bytes allocated, budget 10,000: above it by 10,000")]
    [InlineData(10_000L, 10_500L, "open: 10,500 bytes allocated, budget 10,000")]
    [InlineData(20_000L, 10_000L, "open: 10,000 bytes allocated, budget 20,000: far below it; lower the budget (--update)")]
    [InlineData(null, 10L, "open: 10 bytes allocated, budget none: give it one (--update)")]
    [InlineData(10L, null, "open: not measured, budget 10: no such operation; remove the budget (--update)")]
    public void The_line_names_operation_budget_and_what_is_allocated(long? budget, long? actual, string line) =>
        Assert.Equal(line, new AllocationBudget("open", budget, actual).ToString());
}
