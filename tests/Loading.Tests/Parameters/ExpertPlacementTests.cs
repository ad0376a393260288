using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ExpertPlacementTests
{
    [Fact]
    public void Each_expert_is_on_one_rank() =>
        Prop.ForAll((from experts in Gen.Choose(0, 20) from world in Gen.Choose(1, 8) select (experts, world)).ToArbitrary(), sample =>
        {
            var (experts, world) = sample;
            foreach (var place in new Func<int, int, int, ExpertPlacement>[] { ExpertPlacement.Contiguous, ExpertPlacement.RoundRobin })
            {
                var ranks = Enumerable.Range(0, world).Select(rank => place(experts, world, rank)).ToArray();
                Assert.Equal(Enumerable.Range(0, experts), ranks.SelectMany(rank => rank.LocalExperts).Order());
                Assert.All(ranks, rank => Assert.InRange(rank.LocalExperts.Length, experts / world, (experts + world - 1) / world));
                Assert.All(ranks, rank => Assert.Equal(
                    Enumerable.Range(0, experts).Select(expert => rank.LocalExperts.Contains(expert) ? rank.LocalExperts.IndexOf(expert) : (int?)null),
                    Enumerable.Range(0, experts).Select(rank.LocalOf)));
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_first_ranks_have_one_more()
    {
        Assert.Equal([0, 1, 2], ExpertPlacement.Contiguous(8, 3, 0).LocalExperts.AsEnumerable());
        Assert.Equal([3, 4, 5], ExpertPlacement.Contiguous(8, 3, 1).LocalExperts.AsEnumerable());
        Assert.Equal([6, 7], ExpertPlacement.Contiguous(8, 3, 2).LocalExperts.AsEnumerable());
        Assert.Equal([1, 4, 7], ExpertPlacement.RoundRobin(8, 3, 1).LocalExperts.AsEnumerable());
        Assert.Equal([0, 1], ExpertPlacement.All(2).LocalExperts.AsEnumerable());
    }

    [Fact]
    public void A_map_places_experts_in_any_order()
    {
        var placement = new ExpertPlacement(-1, 1, -1, 0);
        Assert.Equal([3, 1], placement.LocalExperts.AsEnumerable());
        Assert.Equal(4, placement.Count);
        Assert.Null(placement.LocalOf(2));
        Assert.Equal(0, placement.LocalOf(3));
        Assert.Throws<ArgumentOutOfRangeException>(() => placement.LocalOf(4));
        Assert.Throws<ArgumentOutOfRangeException>(() => placement.LocalOf(-1));
    }

    [Theory]
    [InlineData(new[] { 0, 0 }, "Expert 1 has place 0; the places of 2 experts on this rank are 0 to 1")]
    [InlineData(new[] { -1, 1 }, "Expert 1 has place 1; the places of 1 experts")]
    [InlineData(new[] { 0, -2 }, "Expert 1 has place -2")]
    public void A_map_with_gaps_or_twice_the_same_place_is_refused(int[] localOf, string message) =>
        Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => new ExpertPlacement(localOf)).Message, StringComparison.Ordinal);

    [Fact]
    public void There_must_be_such_a_rank() => Assert.Equal("rank", Assert.Throws<ArgumentException>(() => ExpertPlacement.Contiguous(8, 2, 2)).ParamName);
}
