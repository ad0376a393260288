using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class PaddedVocabularyTests
{
    [Fact]
    public void Ranks_make_the_vocabulary_and_zeros_behind_it() =>
        Prop.ForAll((from world in Gen.Choose(1, 8)
                     from vocabulary in Gen.Choose(0, 20)
                     from hidden in Gen.Choose(0, 3)
                     from multiple in Gen.Choose(1, 8)
                     select (world, vocabulary, hidden, multiple)).ToArbitrary(), sample =>
        {
            var (world, vocabulary, hidden, multiple) = sample;
            var padded = PaddedVocabulary.SizeOf(vocabulary, multiple, world);
            // No dimension of features stands for a bias.
            Shape whole = hidden == 0 ? new(vocabulary) : new(vocabulary, hidden);
            var share = whole.With(0, padded / world);
            var ranks = Enumerable.Range(0, world)
                .Select(rank => LoaderRun.Load(WeightLoaders.PaddedVocabulary(vocabulary, new TensorParallel(world, rank)), share, whole)).ToArray();
            var all = LoaderRun.Concatenate(ranks, share, 0);
            Assert.Equal(LoaderRun.Counting(whole.ElementCount), all.Take((int)whole.ElementCount));
            Assert.All(all.Skip((int)whole.ElementCount), value => Assert.Equal(0, value));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Sizes_are_the_least_multiple_that_ranks_share_evenly() =>
        Prop.ForAll((from vocabulary in Gen.Choose(0, 500) from multiple in Gen.Choose(1, 70) from world in Gen.Choose(1, 9) select (vocabulary, multiple, world)).ToArbitrary(), sample =>
        {
            var (vocabulary, multiple, world) = sample;
            var least = Enumerable.Range(vocabulary, (multiple * world) + 1).First(size => size % multiple == 0 && size % world == 0);
            Assert.Equal(least, PaddedVocabulary.SizeOf(vocabulary, multiple, world));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Known_vocabularies_have_known_sizes()
    {
        Assert.Equal(32000, PaddedVocabulary.SizeOf(32000));
        Assert.Equal(50304, PaddedVocabulary.SizeOf(50257, worldSize: 8));
        Assert.Equal(128_448, PaddedVocabulary.SizeOf(128_257, worldSize: 3));
        Assert.Throws<OverflowException>(() => PaddedVocabulary.SizeOf(long.MaxValue));
        Assert.Throws<OverflowException>(() => PaddedVocabulary.SizeOf(1, long.MaxValue, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => PaddedVocabulary.SizeOf(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => PaddedVocabulary.SizeOf(1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => PaddedVocabulary.SizeOf(1, 1, 0));
    }

    [Fact]
    public void A_rank_behind_the_vocabulary_reads_nothing()
    {
        using var parameter = LoaderRun.Make(WeightLoaders.PaddedVocabulary(5, new TensorParallel(4, 3)), 2, 3);
        using var weight = LoaderRun.Lazy("w", new Shape(5, 3));
        using var recorder = new MetaRecorder();
        parameter.Load(weight);
        var write = Assert.Single(recorder.Writes);
        Assert.Null(write.Source);
        Assert.Equal((6, 4), (write.ElementCount, write.Element.Length));
    }

    [Theory]
    [InlineData(new long[] { 2, 3 }, new long[] { 6, 3 }, "a vocabulary of 5 rows was expected")]
    [InlineData(new long[] { 2, 3 }, new long[] { 8, 3 }, "a vocabulary of 5 rows was expected")]
    [InlineData(new long[] { 2, 3 }, new long[] { 5, 4 }, "each as the parameter's")]
    [InlineData(new long[] { 2, 3 }, new long[] { 5 }, "each as the parameter's")]
    [InlineData(new long[0], new long[0], "each as the parameter's")]
    [InlineData(new long[] { 1, 3 }, new long[] { 5, 3 }, "1 rows on each of 4 ranks do not hold a vocabulary of 5")]
    public void Other_shapes_are_refused_on_each_rank(long[] parameter, long[] weight, string problem)
    {
        for (var rank = 0; rank < 4; rank++)
        {
            var message = LoaderRun.Refused(WeightLoaders.PaddedVocabulary(5, new TensorParallel(4, rank)), new Shape(parameter), new Shape(weight));
            Assert.Contains($"on rank {rank} of 4: ", message, StringComparison.Ordinal);
            Assert.Contains(problem, message, StringComparison.Ordinal);
        }
    }
}
