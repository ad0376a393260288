using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A counter-based generator: the value at an index depends on the seed and that index only, so that any part of a
/// tensor, on any device and in any order, gets the same values as the whole.
/// </summary>
/// <remarks>
/// SplitMix64's output function (Steele, Lea and Flood 2014) over <c>seed + (index / 2 + 1) * golden ratio</c>; each
/// 64-bit result gives two values, lower half first, of 24 bits each: as many as a float32 in [0, 1) distinguishes.
/// Integer arithmetic and one exact conversion, so that a GPU computes the same bits.
/// </remarks>
internal static class CounterRandom
{
    private const ulong GoldenRatio = 0x9E3779B97F4A7C15;

    // 2^-24.
    private const float Scale = 1f / (1 << 24);

    /// <summary>The value at an index, uniform in [low, low + range).</summary>
    /// <param name="seed">The stream of values.</param>
    /// <param name="index">The element's index.</param>
    /// <param name="low">The least value.</param>
    /// <param name="range">The width of the interval.</param>
    public static float Uniform(ulong seed, long index, float low, float range) =>
        BitConverter.Int32BitsToSingle(UniformBits(seed, index, low, range, 0));

    /// <summary>The value at an index, as the bits of a float32; host and devices run this same method.</summary>
    /// <inheritdoc cref="Uniform"/>
    /// <param name="seed">The stream of values.</param>
    /// <param name="index">The element's index.</param>
    /// <param name="low">The least value.</param>
    /// <param name="range">The width of the interval.</param>
    /// <param name="zero">0, as an argument that a device's compiler cannot know.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int UniformBits(ulong seed, long index, float low, float range, int zero)
    {
        var bits = Mix(seed + (((ulong)index >> 1) + 1) * GoldenRatio);
        var half = (uint)(bits >> (int)((index & 1) << 5));
        // Two roundings: a device would fuse the product with the sum, which rounds once, if nothing came between them. The
        // 24 bits are taken as an int, since an unsigned conversion goes through a double in IL.
        var scaled = (int)(half >> 8) * Scale * range;
        return BitConverter.SingleToInt32Bits(low + BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(scaled) ^ zero));
    }

    /// <summary>A seed for one tensor of many, from a seed for all and the tensor's name.</summary>
    public static ulong SeedFor(ulong seed, ReadOnlySpan<char> name)
    {
        foreach (var character in name)
        {
            seed = Mix(seed + (character + 1UL) * GoldenRatio);
        }

        return seed;
    }

    private static ulong Mix(ulong state)
    {
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB;
        return state ^ (state >> 31);
    }
}
