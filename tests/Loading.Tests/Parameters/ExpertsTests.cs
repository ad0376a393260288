using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ExpertsTests
{
    [Fact]
    public void Each_rank_has_its_experts_and_its_share_of_them() =>
        Prop.ForAll(Cases().ToArbitrary(), sample =>
        {
            var (tensorParallel, expertParallel, experts, each, hidden, takesTurns) = sample;
            var intermediate = each * tensorParallel;
            Shape up = new(intermediate, hidden), down = new(hidden, intermediate);
            for (var expertRank = 0; expertRank < expertParallel; expertRank++)
            {
                var placement = takesTurns
                    ? ExpertPlacement.RoundRobin(experts, expertParallel, expertRank) : ExpertPlacement.Contiguous(experts, expertParallel, expertRank);
                var local = placement.LocalExperts.Length;
                for (var rank = 0; rank < tensorParallel; rank++)
                {
                    var parallel = new TensorParallel(tensorParallel, rank);
                    var w13 = WeightLoaders.Experts(placement, LinearLayout.ForGateUp(hidden, intermediate, parallel, "w1", "w3"), ParameterAxes.Weight);
                    var w2 = WeightLoaders.Experts(placement, LinearLayout.ForDown(hidden, intermediate, parallel, "w2"), ParameterAxes.Weight);
                    Shape w13Shape = new(local, 2 * each, hidden), w2Shape = new(local, hidden, each);

                    // One weight an expert and part: number 2e is w1 of expert e, 2e + 1 its w3.
                    var rows = LoaderRun.Counting(each * hidden).Select(i => (rank * each * hidden) + i).ToArray();
                    Assert.Equal(
                        placement.LocalExperts.SelectMany(expert => (int[])[2 * expert, (2 * expert) + 1])
                            .SelectMany(number => rows.Select(i => (number * LoaderRun.PerWeight) + i)),
                        LoaderRun.Load(w13, w13Shape, [.. Enumerable.Range(0, 2 * experts).Select(number => (up, new ShardId(number % 2 == 0 ? "w1" : "w3", number / 2)))]));
                    var columns = Enumerable.Range(0, hidden).SelectMany(row => Enumerable.Range(0, each).Select(column => (row * intermediate) + (rank * each) + column)).ToArray();
                    Assert.Equal(
                        placement.LocalExperts.SelectMany(expert => columns.Select(i => (expert * LoaderRun.PerWeight) + i)),
                        LoaderRun.Load(w2, w2Shape, [.. Enumerable.Range(0, experts).Select(expert => (down, new ShardId("w2", expert)))]));

                    // All experts one above the other: of one part, and of both.
                    var size = intermediate * hidden;
                    Assert.Equal(
                        placement.LocalExperts.SelectMany(expert => new[] { 0, 1 }.SelectMany(part => rows.Select(i => (part * LoaderRun.PerWeight) + (expert * size) + i))),
                        LoaderRun.Load(w13, w13Shape, (new Shape(experts, intermediate, hidden), new ShardId("w1")), (new Shape(experts, intermediate, hidden), new ShardId("w3"))));
                    Assert.Equal(
                        placement.LocalExperts.SelectMany(expert => new[] { 0, 1 }.SelectMany(part => rows.Select(i => (((2 * expert) + part) * size) + i))),
                        LoaderRun.Load(w13, w13Shape, new Shape(experts, 2 * intermediate, hidden)));
                    Assert.Equal(
                        placement.LocalExperts.SelectMany(expert => columns.Select(i => (float)((expert * size) + i))),
                        LoaderRun.Load(w2, w2Shape, new Shape(experts, hidden, intermediate)));
                }
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Experts_of_other_ranks_are_not_read()
    {
        using var parameter = LoaderRun.Make(Loader(1), 2, 4, 3);
        using var recorder = new MetaRecorder();
        using var weight = LoaderRun.Lazy("w", new Shape(4, 3));
        parameter.Load(weight, new ShardId("w1", 0));
        Assert.Empty(recorder.Writes);
        parameter.Load(weight, new ShardId("w1", 2));
        Assert.Equal(6, recorder.ElementCount);
    }

    [Fact]
    public void Scales_of_experts_are_one_number_a_part()
    {
        var placement = ExpertPlacement.Contiguous(4, 2, 1);
        var w13 = WeightLoaders.Experts(placement, LinearLayout.ForGateUp(4, 4, null, "w1", "w3"), ParameterAxes.PerPart);
        Assert.Equal(
            [float.NaN, 0, 100_000, float.NaN],
            LoaderRun.Load(w13, new Shape(2, 2), (Shape.Scalar, new ShardId("w3", 2)), (new Shape(1), new ShardId("w1", 3)), (new Shape(1), new ShardId("w1", 1))));
        var w2 = WeightLoaders.Experts(placement, LinearLayout.ForDown(4, 4, null, "w2"), ParameterAxes.PerPart);
        Assert.Equal([2f, 3], LoaderRun.Load(w2, new Shape(2), new Shape(4)));
    }

    [Theory]
    [InlineData("w1", 4, new long[] { 4, 3 }, new long[] { 2, 4, 3 }, "w1 of expert 4", "the experts are 0 to 3")]
    [InlineData("w1", -1, new long[] { 4, 3 }, new long[] { 2, 4, 3 }, "w1 of expert -1", "the experts are 0 to 3")]
    [InlineData("w1", 2, new long[] { 5, 3 }, new long[] { 2, 4, 3 }, "w1 of expert 2", "4 were expected in dimension 0, for 4 output features")]
    [InlineData("w2", 2, new long[] { 4, 3 }, new long[] { 2, 4, 3 }, "w2 of expert 2", "only the parts w1, w3")]
    [InlineData("w1", null, new long[] { 3, 4, 3 }, new long[] { 2, 4, 3 }, ", w1,", "4 experts were expected in dimension 0")]
    [InlineData("w1", null, new long[0], new long[] { 2, 4, 3 }, ", w1,", "4 experts were expected in dimension 0")]
    [InlineData("w1", null, new long[] { 4, 4, 9 }, new long[] { 2, 4, 3 }, "w1 of expert 2", "[2, 9] of it would go into [2, 3]")]
    [InlineData("w1", 2, new long[] { 4, 3 }, new long[] { 4, 4, 3 }, "w1 of expert 2", "does not have the 2 experts of this rank")]
    [InlineData("w1", 2, new long[] { 4, 3 }, new long[0], "w1 of expert 2", "does not have the 2 experts of this rank")]
    public void Wrong_weights_are_refused_with_names_shapes_expert_and_rank(string part, int? expert, long[] weight, long[] parameter, string who, string problem)
    {
        var message = LoaderRun.Refused(Loader(1), new Shape(parameter), new Shape(weight), new ShardId(part, expert));
        Assert.Contains(who, message, StringComparison.Ordinal);
        Assert.Contains(problem, message, StringComparison.Ordinal);
        Assert.Contains("on rank 1 of 2", message, StringComparison.Ordinal);
    }

    // Four experts on two ranks that share them, and two more that share each.
    private static WeightLoader Loader(int rank) => WeightLoaders.Experts(
        ExpertPlacement.Contiguous(4, 2, 1), LinearLayout.ForGateUp(3, 4, new TensorParallel(2, rank), "w1", "w3"), ParameterAxes.Weight);

    private static Gen<(int TensorParallel, int ExpertParallel, int Experts, int Each, int Hidden, bool TakesTurns)> Cases() =>
        from tensorParallel in Gen.Elements(1, 2, 4, 8)
        from expertParallel in Gen.Choose(1, 8 / tensorParallel)
        from experts in Gen.Choose(1, 5)
        from each in Gen.Choose(1, 2)
        from hidden in Gen.Choose(1, 3)
        from takesTurns in Gen.Elements(false, true)
        select (tensorParallel, expertParallel, experts, each, hidden, takesTurns);
}
