using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class WeightLoadersTests
{
    [Fact]
    public void Default_converts_to_the_dtype_of_the_parameter()
    {
        using var parameter = new Parameter(Tensor.Empty(DType.BF16, new Shape(3)));
        using var weight = new Weight("w", Tensor.FromValues<float>(DType.F32, new Shape(3), [1, -2.5f, 1.00390625f]));
        parameter.Load(weight);
        // The last lies between 1 and 1.0078125, and 1 is the even one.
        Assert.Equal([0x3F80, 0xC020, 0x3F80], parameter.Data.AsSpan<ushort>().ToArray());
    }

    [Theory]
    [InlineData(new long[0], new long[] { 1 })]
    [InlineData(new long[] { 1 }, new long[0])]
    [InlineData(new long[] { 1, 1, 1 }, new long[] { 1 })]
    [InlineData(new long[0], new long[0])]
    public void Default_takes_any_two_shapes_of_one_element(long[] parameter, long[] weight)
    {
        using var stored = LoaderRun.Stored("w", new Shape(weight), number: 3);
        using var to = new Parameter(Tensor.Empty(DType.F32, new Shape(parameter)));
        to.Load(stored);
        Assert.Equal([300_000f], to.Data.AsSpan<float>().ToArray());
        Assert.Equal([0f], LoaderRun.Load(WeightLoaders.Default, new Shape(parameter), new Shape(weight)));
    }

    [Theory]
    [InlineData(new long[] { 2, 3 }, new long[] { 3, 2 })]
    [InlineData(new long[] { 6 }, new long[] { 2, 3 })]
    [InlineData(new long[] { 2 }, new long[] { 1 })]
    [InlineData(new long[] { 0 }, new long[] { 1 })]
    [InlineData(new long[] { 0, 2 }, new long[] { 0 })]
    public void Default_refuses_other_shapes(long[] parameter, long[] weight)
    {
        var message = LoaderRun.Refused(WeightLoaders.Default, new Shape(parameter), new Shape(weight));
        Assert.Equal(
            $"tensor 'w' of shape [{string.Join(", ", weight)}] does not fit parameter 'p.weight' of shape [{string.Join(", ", parameter)}].", message);
    }

    [Fact]
    public void Ranks_of_a_row_parallel_parameter_make_the_whole() =>
        Prop.ForAll(Cases().ToArbitrary(), sample =>
        {
            var (shape, world) = (new Shape(sample.Shape), sample.World);
            var isSplit = shape.Rank > 1;
            var share = isSplit ? shape.With(0, shape[0] / world) : shape;
            var ranks = Enumerable.Range(0, world)
                .Select(rank => LoaderRun.Load(WeightLoaders.RowParallel(new TensorParallel(world, rank)), share, shape)).ToArray();
            var whole = LoaderRun.Counting(shape.ElementCount);
            if (isSplit)
            {
                Assert.Equal(whole, LoaderRun.Concatenate(ranks, share, 0));
            }
            else
            {
                Assert.All(ranks, values => Assert.Equal(whole, values));
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Ranks_of_a_sharded_parameter_make_the_whole() =>
        Prop.ForAll(Cases().Where(sample => sample.Shape.Length > 0).ToArbitrary(), sample =>
        {
            var (world, axis) = (sample.World, sample.Axis % sample.Shape.Length);
            var share = new Shape(sample.Shape);
            var shape = share.With(axis, share[axis] * world);
            foreach (var given in new[] { axis, axis - shape.Rank })
            {
                var ranks = Enumerable.Range(0, world)
                    .Select(rank => LoaderRun.Load(WeightLoaders.Sharded(given, new TensorParallel(world, rank)), share, shape)).ToArray();
                Assert.Equal(LoaderRun.Counting(shape.ElementCount), LoaderRun.Concatenate(ranks, share, axis));
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void RowParallel_copies_scalars_and_vectors_whole()
    {
        var loader = WeightLoaders.RowParallel(new TensorParallel(4, 3));
        Assert.Equal([0f], LoaderRun.Load(loader, Shape.Scalar, Shape.Scalar));
        Assert.Equal(LoaderRun.Counting(8), LoaderRun.Load(loader, new Shape(8), new Shape(8)));
        var message = LoaderRun.Refused(loader, new Shape(2), new Shape(8));
        Assert.Contains("on rank 3 of 4", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, new long[] { 2, 3 }, new long[] { 6, 3 }, "8 were expected in dimension 0, 2 for each rank")]
    [InlineData(0, new long[] { 2, 3 }, new long[] { 12, 3 }, "8 were expected in dimension 0")]
    [InlineData(-1, new long[] { 2, 3 }, new long[] { 2, 3 }, "12 were expected in dimension 1")]
    [InlineData(0, new long[] { 2, 3 }, new long[] { 8 }, "8 were expected in dimension 0")]
    [InlineData(0, new long[] { 2, 3 }, new long[] { 8, 4 }, "[2, 4] of it would go into [2, 3] of the parameter")]
    [InlineData(2, new long[] { 2, 3 }, new long[] { 8, 3 }, "no dimension 2")]
    [InlineData(-3, new long[] { 2, 3 }, new long[] { 8, 3 }, "no dimension -3")]
    [InlineData(0, new long[0], new long[] { 4 }, "no dimension 0")]
    public void Sharded_refuses_what_the_ranks_do_not_share_evenly(int axis, long[] parameter, long[] weight, string part)
    {
        var message = LoaderRun.Refused(WeightLoaders.Sharded(axis, new TensorParallel(4, 1)), new Shape(parameter), new Shape(weight), new ShardId("q"));
        Assert.Contains(part, message, StringComparison.Ordinal);
        Assert.Contains("on rank 1 of 4", message, StringComparison.Ordinal);
        Assert.Contains(", q,", message, StringComparison.Ordinal);
    }

    [Fact]
    public void RowParallel_refuses_rows_that_no_rank_takes()
    {
        var message = LoaderRun.Refused(WeightLoaders.RowParallel(new TensorParallel(2, 0)), new Shape(2, 3), new Shape(5, 3));
        Assert.Contains("on rank 0 of 2: 4 were expected in dimension 0, 2 for each rank", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_from_files_do_not_write_to_the_terminal()
    {
        using var parameter = LoaderRun.Make(WeightLoaders.Default, 2);
        using var weight = LoaderRun.Stored("w\u001b[2J", new Shape(3));
        var message = Assert.Throws<ModelMismatchException>(() => parameter.Load(weight, new ShardId("q\u001b"))).Message;
        Assert.Contains("'w\\u001b[2J' of shape [3], q\\u001b, does", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(2, 2)]
    [InlineData(2, -1)]
    public void There_must_be_such_a_rank(int world, int rank)
    {
        var parallel = new TensorParallel(world, rank);
        Assert.Equal("parallel", Assert.Throws<ArgumentException>(() => WeightLoaders.RowParallel(parallel)).ParamName);
        Assert.Equal("parallel", Assert.Throws<ArgumentException>(() => WeightLoaders.Sharded(0, parallel)).ParamName);
        Assert.Equal("parallel", Assert.Throws<ArgumentException>(() => WeightLoaders.PaddedVocabulary(1, parallel)).ParamName);
        Assert.Equal("parallel", Assert.Throws<ArgumentException>(() => new LinearLayout(1, [new PackedPart(null, 1)], parallel)).ParamName);
    }

    // Shapes of up to three dimensions, the first of which the ranks share.
    private static Gen<(long[] Shape, int World, int Axis)> Cases() =>
        from world in Gen.Choose(1, 8)
        from rank in Gen.Choose(0, 3)
        from sizes in Gen.Choose(0, 4).ArrayOf(rank)
        from axis in Gen.Choose(0, 2)
        select (sizes.Select((size, i) => i == 0 ? (long)size * world : size).ToArray(), world, axis);
}
