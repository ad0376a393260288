using System.Collections.Immutable;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HistogramTests
{
    [Fact]
    public async Task Every_finite_value_is_between_the_ends_of_its_bin()
    {
        var random = new Random(1);
        var values = Enumerable.Range(0, 30_000).Select(i => i % 100 == 0 ? float.NaN : i % 101 == 0 ? float.NegativeInfinity : (random.NextSingle() * 2) - 1).ToArray();
        var bins = await BinsAsync("F32", values, 20);
        Assert.Equal(20, bins.Length);
        var finite = values.Where(float.IsFinite).Select(value => (double)value).ToArray();
        Assert.Equal((finite.Min(), finite.Max()), (bins[0].Lower.Number, bins[^1].Upper.Number));
        for (var i = 0; i < bins.Length; i++)
        {
            var (lower, upper) = (bins[i].Lower.Number, bins[i].Upper.Number);
            Assert.Equal(finite.Count(value => value >= lower && (value < upper || (i == bins.Length - 1 && value <= upper))), bins[i].Count);
            Assert.Equal(i == 0 ? lower : bins[i - 1].Upper.Number, lower);
        }
    }

    [Theory]
    [InlineData(1, new long[] { 4 })]
    [InlineData(2, new long[] { 2, 2 })]
    public async Task The_whole_range_of_64_bits_has_any_number_of_bins(int bins, long[] counts)
    {
        var found = await BinsAsync("I64", new[] { long.MinValue, long.MaxValue, 0, -1 }, bins);
        Assert.Equal(counts, found.Select(bin => bin.Count));
    }

    [Theory]
    [InlineData("F32")]
    [InlineData("I32")]
    [InlineData("I64")]
    public void Values_beyond_the_ends_go_to_the_last_bins(string name)
    {
        // A file that changed since its ends were found: what is counted is of no use, and saying so is the reader's.
        Assert.True(DType.TryFromName(name, out var dtype));
        var decoder = ValueDecoder.Of(dtype);
        StoredValue Value(int number) => new(dtype, number, dtype == DType.I64 ? number : null);
        var histogram = new Histogram(Value(0), Value(100), 10);
        var counts = histogram.CreateCounts();
        var stored = dtype == DType.F32
            ? System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>([-1e30f, 1e30f, 50])
            : dtype == DType.I32
                ? System.Runtime.InteropServices.MemoryMarshal.AsBytes<int>([int.MinValue, int.MaxValue, 50])
                : System.Runtime.InteropServices.MemoryMarshal.AsBytes<long>([long.MaxValue, 101, 50]);
        histogram.Count(counts, decoder, stored, new double[TensorPieces.ChunkElements]);
        Assert.Equal(3, counts.Sum());
    }

    [Theory]
    [InlineData(0, 19, 20, 1)]
    [InlineData(0, 20, 11, 2)]
    [InlineData(-100, 100, 19, 11)]
    [InlineData(7, 7, 1, 1)]
    public async Task Bins_of_integers_hold_equally_many_integers(int first, int last, int bins, int perBin)
    {
        var values = Enumerable.Range(first, last - first + 1).ToArray();
        foreach (var found in new[]
        {
            await BinsAsync("I32", values, 20), await BinsAsync("I64", Array.ConvertAll(values, value => (long)value), 20),
        })
        {
            Assert.Equal(bins, found.Length);
            Assert.All(found[..^1], bin => Assert.Equal(perBin, bin.Count));
            Assert.Equal(values.Length, found.Sum(bin => bin.Count));
            Assert.Equal(($"{first}", $"{first + perBin - 1}", $"{last}"), (found[0].Lower.ToString(), found[0].Upper.ToString(), found[^1].Upper.ToString()));
        }
    }

    [Fact]
    public async Task The_whole_range_of_wide_integers_has_bins()
    {
        var bins = await BinsAsync("I64", new[] { long.MinValue, long.MaxValue, 0, -1 }, 2);
        Assert.Equal([2L, 2], bins.Select(bin => bin.Count));
        Assert.Equal(("-9223372036854775808", "-1", "0", "9223372036854775807"), (bins[0].Lower.ToString(), bins[0].Upper.ToString(), bins[1].Lower.ToString(), bins[1].Upper.ToString()));
    }

    [Fact]
    public async Task The_whole_range_of_doubles_and_its_narrowest_have_bins()
    {
        var widest = await BinsAsync("F64", new[] { double.MinValue, double.MaxValue, 0 }, 4);
        Assert.Equal([1L, 0, 1, 1], widest.Select(bin => bin.Count));
        var narrowest = await BinsAsync("F64", new[] { 1, Math.BitIncrement(1.0), 1 }, 20);
        Assert.Equal(3, narrowest.Sum(bin => bin.Count));
        Assert.Equal(3, (await BinsAsync("F64", new[] { 0, double.Epsilon, 0 }, 20)).Sum(bin => bin.Count));
    }

    [Fact]
    public async Task One_value_is_one_bin_and_no_finite_value_none()
    {
        var bin = Assert.Single(await BinsAsync("F32", new[] { 0.1f, 0.1f, float.NaN }, 20));
        Assert.Equal((2L, "0.1", "0.1"), (bin.Count, bin.Lower.ToString(), bin.Upper.ToString()));
        Assert.Empty(await BinsAsync("F32", new[] { float.NaN, float.PositiveInfinity }, 20));
        Assert.Empty(await BinsAsync("F32", Array.Empty<float>(), 20));
    }

    private static async Task<ImmutableArray<HistogramBin>> BinsAsync<T>(string dtype, T[] values, int bins)
        where T : unmanaged
    {
        var file = new SafetensorsBuilder().Add("a", dtype, [(ulong)values.Length], MemoryMarshal.AsBytes(values.AsSpan())).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        return await StatisticsReader.ReadHistogramAsync(checkpoint["a"], await StatisticsReader.ReadAsync(checkpoint["a"]), bins);
    }
}
