using System.Numerics;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The values of a random fill, by the published formula in integers of any size.</summary>
internal static class UniformOracle
{
    public static readonly BigInteger Modulus = BigInteger.One << 64;

    public static BigInteger GoldenRatio => 0x9E3779B97F4A7C15;

    public static BigInteger Mix(BigInteger state)
    {
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % Modulus;
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % Modulus;
        return state ^ (state >> 31);
    }

    // In double, where a product of two floats and this sum are exact, and rounded to float where the rule says so.
    public static float Value(ulong seed, long index, float low, float high)
    {
        var bits = Mix((seed + (((index / 2) + 1) * GoldenRatio)) % Modulus);
        var uniform = (double)(((bits >> (int)(index % 2 * 32)) % (BigInteger.One << 32)) >> 8) / (1 << 24);
        var scaled = (float)(uniform * (high - low));
        return (float)((double)low + scaled);
    }
}
