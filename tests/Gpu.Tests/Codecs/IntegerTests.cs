using System.Collections.Concurrent;
using System.Numerics;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Codecs")]
public sealed class IntegerTests
{
    // Exact integers are slow, and what they are rounded to is the same for every target.
    private static readonly ConcurrentDictionary<DType, (ulong[] Patterns, ulong[] Singles, ulong[] Doubles)> Rounded = new();

    public static TheoryData<DType, DType> Pairs()
    {
        var pairs = new TheoryData<DType, DType>();
        foreach (var from in new[] { DType.BOOL, DType.I8, DType.U8, DType.I16, DType.U16, DType.I32, DType.U32, DType.I64, DType.U64 })
        {
            foreach (var to in VectorPath.Targets)
            {
                pairs.Add(from, to);
            }
        }

        return pairs;
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Integers_are_rounded_once_to_F32_or_F64_and_from_F32_to_fewer_bits(DType from, DType to)
    {
        var (patterns, singles, doubles) = Rounded.GetOrAdd(from, Round);
        var expected = to == DType.F64 ? doubles : [.. singles.Select(bits => Arithmetic.Convert(bits, DType.F32, to))];
        var index = 0;
        Packed.AssertEach(patterns, Packed.Decode(patterns, from, to), _ => expected[index++]);
    }

    [Theory]
    [InlineData(DType.U64, 0x8000_0080_0000_0001ul, DType.F32, 0x5F00_0001ul)] // two roundings would give 5F000000
    [InlineData(DType.U64, ulong.MaxValue, DType.F32, 0x5F80_0000ul)]
    [InlineData(DType.U64, ulong.MaxValue, DType.F64, 0x43F0_0000_0000_0000ul)]
    [InlineData(DType.I64, 0x4000_0040_0000_0001ul, DType.F32, 0x5E80_0001ul)]
    [InlineData(DType.I64, 0x8000_0000_0000_0000ul, DType.F32, 0xDF00_0000ul)]
    [InlineData(DType.U32, 0xFFFF_FFFFul, DType.F32, 0x4F80_0000ul)]
    [InlineData(DType.I8, 0x80ul, DType.BF16, 0xC300ul)]
    [InlineData(DType.BOOL, 0xFFul, DType.F16, 0x3C00ul)]
    [InlineData(DType.BOOL, 0ul, DType.F64, 0ul)]
    public void Known_integers_become_known_floats(DType from, ulong stored, DType to, ulong expected)
    {
        Assert.Equal(expected, Packed.Decode([stored], from, to)[0]);
    }

    private static (ulong[] Patterns, ulong[] Singles, ulong[] Doubles) Round(DType from)
    {
        var patterns = PatternsOf(from.BlockSize * 8);
        var (singles, doubles) = (new ulong[patterns.Length], new ulong[patterns.Length]);
        for (var i = 0; i < patterns.Length; i++)
        {
            var value = Value(patterns[i], from);
            doubles[i] = BitConverter.DoubleToUInt64Bits((double)Arithmetic.RoundToBits(value, 53));
            // The rounded integer has few enough bits that every further step is exact.
            singles[i] = Arithmetic.Nearest((double)Arithmetic.RoundToBits(value, 24), Arithmetic.FormatOf(DType.F32));
        }

        return (patterns, singles, doubles);
    }

    private static BigInteger Value(ulong bits, DType from)
    {
        var width = from.BlockSize * 8;
        return from == DType.BOOL ? (bits == 0 ? 0 : 1)
            : from is DType.I8 or DType.I16 or DType.I32 or DType.I64 && bits >> (width - 1) != 0 ? new BigInteger(bits) - (BigInteger.One << width)
            : new BigInteger(bits);
    }

    private static ulong[] PatternsOf(int width)
    {
        if (width <= 16)
        {
            return [.. Enumerable.Range(0, 1 << width).Select(bits => (ulong)bits)];
        }

        // Powers of two, midpoints of what 24, 11, 8 and 53 bits keep, each with neighbours; and random ones of every length.
        var mask = ulong.MaxValue >> (64 - width);
        var patterns = new List<ulong> { 0 };
        for (var bit = 0; bit < width; bit++)
        {
            foreach (var kept in new[] { 0, 7, 8, 10, 11, 23, 24, 52, 53 })
            {
                if (kept <= bit)
                {
                    var top = 1UL << bit;
                    var step = 1UL << (bit - kept);
                    patterns.AddRange([top + step, top + step - 1, top + step + 1, top + (3 * step), top + (3 * step) - 1, top + (3 * step) + 1]);
                }
            }

            patterns.AddRange([1UL << bit, (1UL << bit) - 1, (1UL << bit) + 1]);
        }

        var random = new Random(11);
        for (var i = 0; i < 200_000; i++)
        {
            patterns.Add((ulong)random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64));
        }

        return [.. patterns.SelectMany(bits => new[] { bits & mask, (0 - bits) & mask })];
    }
}
