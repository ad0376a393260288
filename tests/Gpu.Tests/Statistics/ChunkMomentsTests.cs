using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class ChunkMomentsTests
{
    [Fact]
    public void Every_length_has_the_moments_of_two_passes_over_decimals()
    {
        var random = new Random(1);
        for (var length = 0; length <= 200; length++)
        {
            // Sixteenths up to a thousand: exact in float, double and decimal, with zeros among them.
            var values = Enumerable.Range(0, length).Select(_ => random.Next(8) == 0 ? 0 : random.Next(-16_000, 16_000) / 16m).ToArray();
            AssertMoments(values, ChunkMoments.Of(Array.ConvertAll(values, value => (float)value)));
            AssertMoments(values, ChunkMoments.Of(Array.ConvertAll(values, value => (double)value)));
        }
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    public void What_is_not_finite_is_counted_in_every_lane_and_left_out_of_the_rest(double odd)
    {
        foreach (var length in new[] { 1, 7, 8, 31, 32, 33, 67, 128, 200 })
        {
            for (var position = 0; position < length; position++)
            {
                var values = Enumerable.Range(1, length - 1).Select(i => i / 4m).ToArray();
                var withOdd = values.Select(value => (double)value).ToList();
                withOdd.Insert(position, odd);
                foreach (var moments in new[]
                {
                    ChunkMoments.Of(withOdd.ToArray()), ChunkMoments.Of(withOdd.Select(value => (float)value).ToArray()),
                })
                {
                    AssertMoments(values, moments);
                    Assert.Equal(
                        (double.IsNaN(odd) ? 1 : 0, double.IsPositiveInfinity(odd) ? 1 : 0, double.IsNegativeInfinity(odd) ? 1 : 0),
                        (moments.NaN, moments.PositiveInfinities, moments.NegativeInfinities));
                }
            }
        }
    }

    [Fact]
    public void Infinities_of_both_signs_and_NaN_leave_nothing()
    {
        var moments = ChunkMoments.Of(Enumerable.Range(0, 99).Select(i => (i % 3) switch
        {
            0 => float.NaN,
            1 => float.PositiveInfinity,
            _ => float.NegativeInfinity,
        }).ToArray());
        Assert.Equal((33, 33, 33, 0), (moments.NaN, moments.PositiveInfinities, moments.NegativeInfinities, moments.Finite));
    }

    [Fact]
    public void A_sum_beyond_the_doubles_has_a_mean_nevertheless()
    {
        var moments = ChunkMoments.Of(Enumerable.Repeat(double.MaxValue, 64).ToArray());
        Assert.Equal((64, double.MaxValue, double.MaxValue), (moments.Finite, moments.Minimum, moments.Maximum));
        Assert.Equal(1, moments.Mean / double.MaxValue, 1e-12);
        var both = ChunkMoments.Of(Enumerable.Range(0, 64).Select(i => i % 2 == 0 ? double.MaxValue : -double.MaxValue).ToArray());
        Assert.Equal((64, 0.0), (both.Finite, both.Mean));
        Assert.Equal(double.PositiveInfinity, both.SquaredDeviations);
    }

    [Fact]
    public void A_large_offset_takes_nothing_from_the_deviation()
    {
        // The textbook formula, mean of squares less square of mean, gives nonsense here.
        var values = Enumerable.Range(0, 4096).Select(i => 1e9 + (i % 2)).ToArray();
        var moments = ChunkMoments.Of(values);
        Assert.Equal(1e9 + 0.5, moments.Mean);
        Assert.Equal(0.25 * 4096, moments.SquaredDeviations);
    }

    [Fact]
    public void Zeros_of_both_signs_count_and_an_extreme_of_zero_has_no_sign()
    {
        var moments = ChunkMoments.Of(Enumerable.Repeat(-0f, 40).Concat([0f, 1f]).ToArray());
        Assert.Equal((41, 42), (moments.Zeros, moments.Finite));
        Assert.Equal(0L, BitConverter.DoubleToInt64Bits(moments.Minimum));
    }

    [Fact]
    public void Parts_merge_to_the_moments_of_the_whole()
    {
        var random = new Random(2);
        for (var round = 0; round < 200; round++)
        {
            var values = Enumerable.Range(0, random.Next(1, 300)).Select(_ => random.Next(-1000, 1000) / 8m).ToArray();
            var merged = new Moments();
            for (var at = 0; at < values.Length;)
            {
                var part = values.AsSpan(at, Math.Min(random.Next(0, 90), values.Length - at)).ToArray();
                merged = merged.With(ChunkMoments.Of(Array.ConvertAll(part, value => (double)value)));
                at += part.Length;
            }

            AssertMoments(values, merged);
        }
    }

    private static void AssertMoments(decimal[] values, Moments moments)
    {
        Assert.Equal(values.Length, moments.Finite);
        if (values.Length == 0)
        {
            Assert.Equal((double.PositiveInfinity, double.NegativeInfinity, 0L), (moments.Minimum, moments.Maximum, moments.Zeros));
            return;
        }

        var mean = values.Sum() / values.Length;
        Assert.Equal(((double)values.Min(), (double)values.Max()), (moments.Minimum, moments.Maximum));
        Assert.Equal(values.Count(value => value == 0), moments.Zeros);
        Assert.Equal((double)mean, moments.Mean, 1e-10);
        var squares = (double)values.Sum(value => (value - mean) * (value - mean));
        Assert.Equal(squares, moments.SquaredDeviations, Math.Max(1e-9, squares * 1e-12));
    }
}
