using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Bit patterns at which conversions go wrong, and many at which they should not. Fixed seeds. Arrays are shared: nobody writes into them.</summary>
internal static class HardValues
{
    public const int RandomCount = 3_000_000;

    // Made once for dozens of tests; that costs more than most of them.
    private static readonly Lazy<ulong[]> RandomSingles = new(MakeRandomSingles);
    private static readonly Lazy<ulong[]> AllDoubles = new(MakeDoubles);

    /// <summary>Every pattern of a 16-bit type.</summary>
    public static ulong[] AllOfSixteenBits() => [.. Enumerable.Range(0, 0x1_0000).Select(bits => (ulong)bits)];

    /// <summary>Every pattern of a type of 8 or 16 bits, 8 bits twice and in another order, so that each is in several lanes.</summary>
    public static ulong[] AllOf(DType dtype) => dtype.BlockSize == 2
        ? AllOfSixteenBits()
        : [.. Enumerable.Range(0, 0x300).Select(i => (ulong)(i < 0x100 ? i : (i * 73) & 0xFF))];

    /// <summary>
    /// For narrowing to <paramref name="target"/> (8 or 16 bits): every midpoint of two neighbours with the float32 below and above
    /// it, the neighbours themselves, all exponent boundaries, all classes of NaN, and random patterns.
    /// </summary>
    public static ulong[] SinglesFor(DType target)
    {
        var patterns = new List<ulong>();
        foreach (var value in FloatTable.Of(target).ValuesAndMidpoints)
        {
            // BF16 goes on where F32 ends.
            Assert.True((float)value == value || value > float.MaxValue);
            AddWithNeighbours(patterns, BitConverter.SingleToUInt32Bits((float)value));
        }

        AddBoundariesAndNaNs(patterns);
        var hard = WithBothSigns(CollectionsMarshal.AsSpan(patterns), 0x8000_0000);
        return [.. hard, .. RandomSingles.Value];
    }

    /// <summary>Midpoints of float32 neighbours (all exponents) with their float64 neighbours, boundaries, NaN, random patterns.</summary>
    public static ulong[] Doubles() => AllDoubles.Value;

    /// <summary>A few thousand patterns of a float type, all kinds mixed, for tests that run them many times.</summary>
    public static ulong[] Mixed(DType dtype, int count)
    {
        var random = new Random(7);
        if (dtype.BlockSize == 1)
        {
            return [.. Enumerable.Range(0, count).Select(_ => (ulong)random.Next(0x100))];
        }

        var format = Arithmetic.FormatOf(dtype);
        ulong[] special = [0, 1, format.MantissaMask, format.Infinity, format.Infinity | 1, format.Infinity | format.Quiet, format.Infinity - 1];
        var patterns = new ulong[count];
        for (var i = 0; i < count; i++)
        {
            // Half of the numbers in the range of F16, so that not everything becomes zero or infinite.
            var bits = (i % 4) switch
            {
                0 => special[random.Next(special.Length)],
                1 => (ulong)random.NextInt64(),
                _ => Arithmetic.Nearest(Math.ScaleB(1 + random.NextDouble(), random.Next(-26, 17)), format),
            };
            var magnitude = bits & (format.Sign - 1);
            patterns[i] = random.Next(2) == 0 ? magnitude : magnitude | format.Sign;
        }

        return patterns;
    }

    private static ulong[] MakeRandomSingles()
    {
        var random = new Random(20_261_122);
        var patterns = new ulong[RandomCount];
        foreach (ref var pattern in patterns.AsSpan())
        {
            pattern = (uint)random.NextInt64(1L << 31);
        }

        return WithBothSigns(patterns, 0x8000_0000);
    }

    private static ulong[] MakeDoubles()
    {
        var patterns = new List<ulong>();
        var random = new Random(20_261_123);
        for (uint exponent = 0; exponent < 255; exponent++)
        {
            for (var i = 0; i < 400; i++)
            {
                var below = (exponent << 23) | (uint)random.Next(1 << 23);
                AddMidpoint(patterns, below);
            }

            AddMidpoint(patterns, exponent << 23);
            AddMidpoint(patterns, (exponent << 23) | 0x007F_FFFF);
        }

        for (ulong exponent = 0; exponent < 2048; exponent++)
        {
            patterns.AddRange([exponent << 52, (exponent << 52) + 1, ((exponent + 1) << 52) - 1, (exponent << 52) | (1UL << 51)]);
        }

        for (var bit = 0; bit < 52; bit++)
        {
            patterns.AddRange([0x7FF0_0000_0000_0000 | (1UL << bit), 0x7FF8_0000_0000_0000 | (1UL << bit)]);
        }

        for (var i = 0; i < RandomCount / 2; i++)
        {
            patterns.Add((ulong)random.NextInt64());

            // Most patterns are far outside float32; these are not.
            patterns.Add((ulong)BitConverter.DoubleToInt64Bits(Math.ScaleB(1 + random.NextDouble(), random.Next(-160, 130))));
        }

        return WithBothSigns(CollectionsMarshal.AsSpan(patterns), 1UL << 63);
    }

    // Each without the sign, then with it.
    private static ulong[] WithBothSigns(ReadOnlySpan<ulong> patterns, ulong sign)
    {
        var both = new ulong[2 * patterns.Length];
        for (var i = 0; i < patterns.Length; i++)
        {
            both[2 * i] = patterns[i] & ~sign;
            both[(2 * i) + 1] = patterns[i] | sign;
        }

        return both;
    }

    private static void AddMidpoint(List<ulong> patterns, uint below)
    {
        // Half a unit further: exact in float64, also beyond the largest float32.
        var value = Arithmetic.Value(below, Arithmetic.FormatOf(DType.F32));
        var unit = Math.ScaleB(1, Math.Max((int)(below >> 23), 1) - 127 - 23);
        var midpoint = BitConverter.DoubleToUInt64Bits(value + (unit / 2));
        patterns.AddRange([midpoint - 1, midpoint, midpoint + 1]);
    }

    private static void AddBoundariesAndNaNs(List<ulong> patterns)
    {
        for (uint exponent = 0; exponent < 256; exponent++)
        {
            AddWithNeighbours(patterns, exponent << 23);
        }

        // Each payload bit alone, quiet and not, and the full payload.
        for (var bit = 0; bit < 23; bit++)
        {
            patterns.AddRange([0x7F80_0000 | (1u << bit), 0x7FC0_0000 | (1u << bit), 0x7FFF_FFFF ^ (1u << bit)]);
        }

        patterns.Add(0x7FFF_FFFF);
    }

    private static void AddWithNeighbours(List<ulong> patterns, uint bits)
    {
        patterns.Add(bits);
        if (bits < 0x7FFF_FFFF)
        {
            patterns.Add(bits + 1);
        }

        if (bits > 0)
        {
            patterns.Add(bits - 1);
        }
    }
}
