using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LinearLoaderTests
{
    [Fact]
    public void Each_rank_has_its_heads_and_key_value_heads_are_repeated() =>
        Prop.ForAll(AttentionCases().ToArbitrary(), sample =>
        {
            var (world, heads, keyValueHeads, headSize, hidden) = sample;
            Shape q = new(heads * headSize, hidden), kv = new(keyValueHeads * headSize, hidden);
            Shape packed = new((heads + (2 * keyValueHeads)) * headSize, hidden);
            for (var rank = 0; rank < world; rank++)
            {
                var layout = LinearLayout.ForAttention(hidden, heads, keyValueHeads, headSize, new TensorParallel(world, rank));
                var loader = WeightLoaders.Linear(layout, ParameterAxes.Weight);
                var shape = new Shape(layout.OutputSizePerRank, layout.InputSizePerRank);
                // By the definition of grouped attention: the first head of a rank, and as many as it has, at least one.
                var (firstHead, firstKeyValue) = (rank * heads / world, rank * keyValueHeads / world);
                var (own, ownKeyValue) = (heads / world, Math.Max(keyValueHeads / world, 1));
                float[] expected =
                [
                    .. Rows(0, firstHead, own),
                    .. Rows(1, firstKeyValue, ownKeyValue),
                    .. Rows(2, firstKeyValue, ownKeyValue),
                ];
                Assert.Equal(expected.Length, shape.ElementCount);
                Assert.Equal(expected, LoaderRun.Load(loader, shape, (q, new ShardId("q")), (kv, new ShardId("k")), (kv, new ShardId("v"))));
                // By number, and in any order, each part goes to its own place.
                var again = LoaderRun.Load(loader, shape, (kv, new ShardId("2")), (q, new ShardId("0")), (kv, new ShardId("1")));
                int[] numbers = [1, 2, 0];
                Assert.Equal(expected.Select(value => (numbers[(int)(value / LoaderRun.PerWeight)] * LoaderRun.PerWeight) + (value % LoaderRun.PerWeight)), again);

                // All parts in one weight: k begins behind q there.
                float[] starts = [0, heads, heads + keyValueHeads];
                var packedExpected = expected.Select(value => (starts[(int)(value / LoaderRun.PerWeight)] * headSize * hidden) + (value % LoaderRun.PerWeight));
                Assert.Equal(packedExpected, LoaderRun.Load(loader, shape, packed));
            }

            IEnumerable<float> Rows(int weight, int head, int count) =>
                LoaderRun.Counting(count * headSize * hidden).Select(i => (weight * LoaderRun.PerWeight) + (head * headSize * hidden) + i);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Biases_are_split_as_their_weights_are()
    {
        var layout = LinearLayout.ForAttention(3, 4, 2, 2, new TensorParallel(4, 3));
        var loader = WeightLoaders.Linear(layout, ParameterAxes.Bias);
        Assert.Equal(
            [6f, 7, 100_002, 100_003, 200_002, 200_003],
            LoaderRun.Load(loader, new Shape(6), (new Shape(8), new ShardId("q")), (new Shape(4), new ShardId("k")), (new Shape(4), new ShardId("v"))));
    }

    [Fact]
    public void Ranks_of_gate_and_up_make_the_whole() =>
        Prop.ForAll((from world in Gen.Choose(1, 8) from each in Gen.Choose(1, 3) from hidden in Gen.Choose(1, 4) select (world, each, hidden)).ToArbitrary(), sample =>
        {
            var (world, each, hidden) = sample;
            Shape whole = new(world * each, hidden), share = new(each, hidden);
            var ranks = Enumerable.Range(0, world)
                .Select(rank => LoaderRun.Load(
                    WeightLoaders.Linear(LinearLayout.ForGateUp(hidden, world * each, new TensorParallel(world, rank)), ParameterAxes.Weight),
                    new Shape(2 * each, hidden),
                    (whole, new ShardId("gate")),
                    (whole, new ShardId("up"))))
                .ToArray();
            Assert.Equal(LoaderRun.Counting(whole.ElementCount), LoaderRun.Concatenate([.. ranks.Select(values => values[..(each * hidden)])], share, 0));
            Assert.Equal(LoaderRun.Counting(whole.ElementCount, 1), LoaderRun.Concatenate([.. ranks.Select(values => values[(each * hidden)..])], share, 0));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Ranks_that_share_inputs_make_the_whole_and_each_has_the_bias() =>
        Prop.ForAll((from world in Gen.Choose(1, 8) from each in Gen.Choose(1, 3) from hidden in Gen.Choose(1, 4) select (world, each, hidden)).ToArbitrary(), sample =>
        {
            var (world, each, hidden) = sample;
            Shape whole = new(hidden, world * each), share = new(hidden, each);
            var layouts = Enumerable.Range(0, world).Select(rank => LinearLayout.ForDown(hidden, world * each, new TensorParallel(world, rank))).ToArray();
            var ranks = layouts.Select(layout => LoaderRun.Load(WeightLoaders.Linear(layout, ParameterAxes.Weight), share, whole)).ToArray();
            Assert.Equal(LoaderRun.Counting(whole.ElementCount), LoaderRun.Concatenate(ranks, share, 1));
            Assert.All(layouts, layout => Assert.Equal(
                LoaderRun.Counting(hidden), LoaderRun.Load(WeightLoaders.Linear(layout, ParameterAxes.Bias), new Shape(hidden), new Shape(hidden))));
        }).QuickCheckThrowOnFailure();

    // Eight numbers to a word along the inputs, transposed: [inputs / 8, outputs], as GPTQ has it; and scales of blocks of 4 by 4.
    [Fact]
    public void Features_that_are_stored_together_are_split_together()
    {
        for (var rank = 0; rank < 2; rank++)
        {
            var parallel = new TensorParallel(2, rank);
            var packed = new ParameterAxes(1, 0, InputUnit: 8);
            var rows = WeightLoaders.Linear(new LinearLayout(32, [new PackedPart(null, 3)], parallel, splitsInputs: true), packed);
            Assert.Equal(LoaderRun.Counting(12).Skip(rank * 6).Take(6), LoaderRun.Load(rows, new Shape(2, 3), new Shape(4, 3)));

            // 8 and 4 outputs in each part and an input that the last block has alone.
            var blocks = new ParameterAxes(0, 1, 4, 4);
            var columns = WeightLoaders.Linear(new LinearLayout(9, [new PackedPart("a", 16), new PackedPart("b", 8)], parallel), blocks);
            Assert.Equal(
                [.. LoaderRun.Counting(12).Skip(rank * 6).Take(6), .. LoaderRun.Counting(6, 1).Skip(rank * 3).Take(3)],
                LoaderRun.Load(columns, new Shape(3, 3), (new Shape(4, 3), new ShardId("a")), (new Shape(2, 3), new ShardId("b"))));
            Assert.Equal(
                [.. LoaderRun.Counting(18).Skip(rank * 6).Take(6), .. LoaderRun.Counting(18).Skip(12 + (rank * 3)).Take(3)],
                LoaderRun.Load(columns, new Shape(3, 3), new Shape(6, 3)));
        }
    }

    [Fact]
    public void A_last_block_that_is_not_full_is_split_where_nobody_shares_it()
    {
        var layout = new LinearLayout(4, [new PackedPart("a", 8), new PackedPart("b", 5)]);
        var loader = WeightLoaders.Linear(layout, new ParameterAxes(0, null, 4));
        Assert.Equal([0f, 1, 100_000, 100_001], LoaderRun.Load(loader, new Shape(4), (new Shape(2), new ShardId("a")), (new Shape(2), new ShardId("b"))));
        Assert.Equal([0f, 1, 2, 3], LoaderRun.Load(loader, new Shape(4), new Shape(4)));
    }

    [Fact]
    public void One_number_a_part_goes_to_its_part_and_that_of_a_packed_weight_to_each()
    {
        var loader = WeightLoaders.Linear(LinearLayout.ForAttention(4, 4, 4, 1, new TensorParallel(4, 2)), ParameterAxes.PerPart);
        Assert.Equal(
            [100_000f, 200_000f, 0],
            LoaderRun.Load(loader, new Shape(3), (Shape.Scalar, new ShardId("v")), (new Shape(1), new ShardId("q")), (Shape.Scalar, new ShardId("k"))));
        Assert.Equal([0f, 0, 0], LoaderRun.Load(loader, new Shape(3), Shape.Scalar));
        Assert.Equal([0f, 1, 2], LoaderRun.Load(loader, new Shape(3), new Shape(3)));
        Assert.Contains("[2] of it would go into [1]", LoaderRun.Refused(loader, new Shape(3), new Shape(2), new ShardId("q")), StringComparison.Ordinal);
        Assert.Contains("the layer has 3 parts", LoaderRun.Refused(loader, new Shape(2), Shape.Scalar, new ShardId("q")), StringComparison.Ordinal);
        var single = WeightLoaders.Linear(new LinearLayout(4, [new PackedPart(null, 4)]), ParameterAxes.PerPart);
        Assert.Equal([0f], LoaderRun.Load(single, Shape.Scalar, new Shape(1)));
        Assert.Equal([0f], LoaderRun.Load(single, new Shape(1), Shape.Scalar));
    }

    // Such as the order in which GPTQ has quantised the inputs.
    [Fact]
    public void What_has_no_outputs_is_the_same_for_all_parts_and_split_with_the_inputs()
    {
        var axes = new ParameterAxes(null, 0);
        var columns = WeightLoaders.Linear(LinearLayout.ForGateUp(6, 4, new TensorParallel(2, 1)), axes);
        Assert.Equal(LoaderRun.Counting(6), LoaderRun.Load(columns, new Shape(6), new Shape(6)));
        Assert.Equal(LoaderRun.Counting(6), LoaderRun.Load(columns, new Shape(6), new Shape(6), new ShardId("up")));
        var rows = WeightLoaders.Linear(LinearLayout.ForDown(4, 6, new TensorParallel(2, 1)), axes);
        Assert.Equal([3f, 4, 5], LoaderRun.Load(rows, new Shape(3), new Shape(6)));
    }

    [Fact]
    public void One_element_needs_no_dimension()
    {
        var loader = WeightLoaders.Linear(new LinearLayout(1, [new PackedPart(null, 1)]), ParameterAxes.Weight);
        Assert.Equal([0f], LoaderRun.Load(loader, new Shape(1, 1), Shape.Scalar));
        Assert.Equal([0f], LoaderRun.Load(loader, Shape.Scalar, new Shape(1, 1)));
    }

    [Theory]
    [InlineData("q", new long[] { 9, 3 }, "8 were expected in dimension 0, for 8 output features over all ranks")]
    [InlineData("q", new long[] { 16, 3 }, "8 were expected in dimension 0")]
    [InlineData("q", new long[] { 4, 3 }, "8 were expected in dimension 0")]
    [InlineData("q", new long[0], "8 were expected in dimension 0")]
    [InlineData("k", new long[] { 8, 3 }, "4 were expected in dimension 0, for 4 output features over all ranks")]
    [InlineData("k", new long[] { 4, 5 }, "[2, 5] of it would go into [2, 3] of the parameter")]
    [InlineData(null, new long[] { 17, 3 }, "16 were expected in dimension 0")]
    [InlineData("x\u001b", new long[] { 8, 3 }, "only the parts q, k, v")]
    [InlineData("3", new long[] { 8, 3 }, "only the parts q, k, v")]
    [InlineData("-1", new long[] { 8, 3 }, "only the parts q, k, v")]
    public void Wrong_weights_are_refused_with_names_shapes_part_and_rank(string? part, long[] weight, string problem)
    {
        var loader = WeightLoaders.Linear(LinearLayout.ForAttention(3, 4, 2, 2, new TensorParallel(2, 1)), ParameterAxes.Weight);
        var message = LoaderRun.Refused(loader, new Shape(8, 3), new Shape(weight), new ShardId(part));
        Assert.Contains(problem, message, StringComparison.Ordinal);
        Assert.Contains("on rank 1 of 2", message, StringComparison.Ordinal);
        Assert.DoesNotContain("\u001b", message, StringComparison.Ordinal);
        if (part is not null)
        {
            Assert.Contains($", {Quoted.Plain(part)}, does not fit", message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Inputs_beyond_those_of_the_layer_are_refused()
    {
        var loader = WeightLoaders.Linear(LinearLayout.ForDown(2, 6, new TensorParallel(2, 0)), ParameterAxes.Weight);
        Assert.Contains("6 were expected in dimension 1, for 6 input features", LoaderRun.Refused(loader, new Shape(2, 3), new Shape(2, 8)), StringComparison.Ordinal);
        Assert.Contains("2 were expected in dimension 0, for 2 output features", LoaderRun.Refused(loader, new Shape(2, 3), new Shape(4, 6)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Shares_inside_a_group_are_refused_on_each_rank(int rank)
    {
        var layout = new LinearLayout(12, [new PackedPart("a", 12), new PackedPart("b", 8)], new TensorParallel(2, rank));
        var loader = WeightLoaders.Linear(layout, new ParameterAxes(0, 1, 4));
        Assert.Contains(
            "share of 6 output features would end inside a group of 4", LoaderRun.Refused(loader, new Shape(5, 12), new Shape(3, 12), new ShardId("a")), StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_that_begin_inside_a_group_are_refused()
    {
        var loader = WeightLoaders.Linear(new LinearLayout(4, [new PackedPart("a", 6), new PackedPart("b", 8)]), new ParameterAxes(0, null, 4));
        Assert.Contains("feature 6, where a part begins, is inside a group of 4", LoaderRun.Refused(loader, new Shape(4), new Shape(2), new ShardId("b")), StringComparison.Ordinal);
        Assert.Contains("feature 6, where a part begins", LoaderRun.Refused(loader, new Shape(4), new Shape(4)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_parameter_without_room_for_a_part_is_refused()
    {
        var loader = WeightLoaders.Linear(LinearLayout.ForGateUp(3, 4), ParameterAxes.Weight);
        Assert.Contains("up takes 4 to 8 of dimension 0", LoaderRun.Refused(loader, new Shape(7, 3), new Shape(4, 3), new ShardId("up")), StringComparison.Ordinal);
    }

    [Fact]
    public void Axes_must_be_dimensions()
    {
        var layout = new LinearLayout(1, [new PackedPart(null, 1)]);
        foreach (var axes in new[] { new ParameterAxes(-1), new ParameterAxes(1, 1), new ParameterAxes(0, 1, 0), new ParameterAxes(0, 1, 1, -4) })
        {
            Assert.Equal("axes", Assert.Throws<ArgumentException>(() => WeightLoaders.Linear(layout, axes)).ParamName);
        }
    }

    private static Gen<(int World, int Heads, int KeyValueHeads, int HeadSize, int Hidden)> AttentionCases() =>
        from world in Gen.Choose(1, 8)
        from each in Gen.Choose(1, 2)
        from keyValueHeads in Gen.Choose(1, 16).Where(heads => heads >= world ? heads % world == 0 : world % heads == 0)
        from headSize in Gen.Choose(1, 3)
        from hidden in Gen.Choose(1, 3)
        select (world, world * each, keyValueHeads, headSize, hidden);
}
