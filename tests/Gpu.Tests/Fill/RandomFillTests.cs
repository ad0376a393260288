using System.Numerics;
using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class RandomFillTests
{
    private static readonly DType[] Floats = [DType.F32, DType.F16, DType.BF16, DType.F64];

    // The first outputs of SplitMix64 from the seed 0, as they are published with the algorithm.
    [Fact]
    public void Elements_are_the_halves_of_SplitMix64s_outputs_lower_half_first()
    {
        ulong[] published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC];
        var values = Fill(DType.F32, 8, 0, 0, 0, 1);
        for (var i = 0; i < 8; i++)
        {
            var half = (uint)(published[i / 2] >> (i % 2 * 32));
            Assert.Equal(Math.ScaleB(half >> 8, -24), values[i]);
        }
    }

    [Fact]
    public void Any_element_follows_the_formula()
    {
        Prop.ForAll(
            ArbMap.Default.GeneratorFor<ulong>().ToArbitrary(),
            Gen.Choose(0, int.MaxValue).Select(index => index * 0x1_0001L).ToArbitrary(),
            (seed, index) => Fill(DType.F32, 3, index, seed, 0.1f, 0.7f)
                .SequenceEqual(Enumerable.Range(0, 3).Select(i => UniformOracle.Value(seed, index + i, 0.1f, 0.7f))))
            .QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_part_is_the_slice_of_the_whole()
    {
        const int whole = 10_000;
        var wholes = Floats.ToDictionary(dtype => dtype, dtype => Bytes(dtype, whole, 0, 42, -1, 1));
        var parts = from dtype in Gen.Elements(Floats)
                    from start in Gen.Choose(0, whole)
                    from length in Gen.Choose(0, whole - start)
                    select (dtype, start, length);
        Prop.ForAll(parts.ToArbitrary(), part =>
        {
            var size = part.dtype.BlockSize;
            return Bytes(part.dtype, part.length, part.start, 42, -1, 1).AsSpan()
                .SequenceEqual(wholes[part.dtype].AsSpan(part.start * size, part.length * size));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Narrower_types_hold_the_rounded_values()
    {
        var values = Fill(DType.F32, 5000, 0, 7, -1f / 32, 1f / 32);
        Assert.Equal(
            values.Select(value => (Half)value).ToArray(),
            MemoryMarshal.Cast<byte, Half>(Bytes(DType.F16, 5000, 0, 7, -1f / 32, 1f / 32)).ToArray());
        Assert.Equal(
            values.Select(value => (double)value).ToArray(),
            MemoryMarshal.Cast<byte, double>(Bytes(DType.F64, 5000, 0, 7, -1f / 32, 1f / 32)).ToArray());
        Assert.Equal(
            values.Select(RoundToBFloat16).ToArray(),
            MemoryMarshal.Cast<byte, ushort>(Bytes(DType.BF16, 5000, 0, 7, -1f / 32, 1f / 32)).ToArray());
    }

    [Fact]
    public void Values_are_within_the_bounds_and_spread_over_them()
    {
        const int count = 1 << 16;
        var values = Fill(DType.F32, count, 0, 3, -1f / 32, 1f / 32);
        Assert.All(values, value => Assert.True(value is >= -1f / 32 and < 1f / 32));
        var inBins = values.CountBy(value => (int)((value + (1f / 32)) * 16 * 16)).ToDictionary();
        Assert.Equal(16, inBins.Count);
        // 4096 expected in each; six standard deviations are 372.
        Assert.All(inBins.Values, bin => Assert.InRange(bin, 4096 - 372, 4096 + 372));
    }

    [Fact]
    public void Seeds_and_names_give_other_values()
    {
        var first = Bytes(DType.F32, 64, 0, 1, 0, 1);
        Assert.NotEqual(first, Bytes(DType.F32, 64, 0, 2, 0, 1));
        var names = Enumerable.Range(0, 1000).Select(i => $"model.layers.{i}.weight").Append("").Append("\0").ToArray();
        Assert.Equal(names.Length, names.Select(name => RandomFill.SeedFor(9, name)).Distinct().Count());
        Assert.NotEqual(RandomFill.SeedFor(1, "ab"), RandomFill.SeedFor(1, "ba"));
        Assert.NotEqual(RandomFill.SeedFor(1, "a"), RandomFill.SeedFor(2, "a"));
    }

    [Fact]
    public void A_tensors_seed_follows_the_formula()
    {
        BigInteger seed = 77;
        foreach (var character in "ab")
        {
            seed = UniformOracle.Mix((seed + ((character + 1) * UniformOracle.GoldenRatio)) % UniformOracle.Modulus);
        }

        Assert.Equal((ulong)seed, RandomFill.SeedFor(77, "ab"));
        Assert.Equal(77UL, RandomFill.SeedFor(77, ""));
    }

    [Fact]
    public void Other_types_and_broken_lengths_are_refused()
    {
        Assert.Throws<ArgumentException>(() => RandomFill.Uniform(new byte[4], DType.I32, 0, 0, 0, 1));
        Assert.Throws<ArgumentException>(() => RandomFill.Uniform(new byte[18], DType.Q4_0, 0, 0, 0, 1));
        Assert.Throws<ArgumentException>(() => RandomFill.Uniform(new byte[7], DType.F32, 0, 0, 0, 1));
        RandomFill.Uniform([], DType.F32, 0, 0, 0, 1);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(0, float.PositiveInfinity)]
    [InlineData(float.NaN, 1)]
    [InlineData(float.MinValue, float.MaxValue)]
    public void Bounds_that_are_no_interval_of_a_finite_width_are_refused(float low, float high)
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => RandomFill.Uniform(new byte[4], DType.F32, 0, 0, low, high));
    }

    private static byte[] Bytes(DType dtype, int count, long first, ulong seed, float low, float high)
    {
        var bytes = new byte[count * dtype.BlockSize];
        RandomFill.Uniform(bytes, dtype, first, seed, low, high);
        return bytes;
    }

    private static float[] Fill(DType dtype, int count, long first, ulong seed, float low, float high) =>
        MemoryMarshal.Cast<byte, float>(Bytes(dtype, count, first, seed, low, high)).ToArray();

    private static ushort RoundToBFloat16(float value)
    {
        var exact = (double)value;
        var lower = BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000;
        var (below, above) = (BitConverter.UInt32BitsToSingle(lower), BitConverter.UInt32BitsToSingle(lower + 0x10000));
        var (down, up) = (Math.Abs(exact - below), Math.Abs(above - exact));
        var bits = down < up || (down == up && ((lower >> 16) & 1) == 0) ? lower : lower + 0x10000;
        return (ushort)(bits >> 16);
    }
}
