using System.Numerics;

namespace IlgpuLoader.Loading;

/// <summary>How many rows an embedding or output has whose vocabulary is padded.</summary>
public static class PaddedVocabulary
{
    /// <summary>What vocabularies are padded to a multiple of: vLLM's <c>DEFAULT_VOCAB_PADDING_SIZE</c>, which suits matrix kernels.</summary>
    public const long DefaultMultiple = 64;

    /// <summary>The rows over all ranks: the least multiple that all ranks have an equal share of.</summary>
    /// <param name="vocabulary">The rows that the checkpoint has (<c>vocab_size</c>).</param>
    /// <param name="multiple">What the rows are padded to a multiple of.</param>
    /// <param name="worldSize">The number of tensor-parallel ranks. Where it divides the multiple, it changes nothing.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative, or one of the latter two 0.</exception>
    /// <exception cref="OverflowException">The rows are more than 64 bits count.</exception>
    public static long SizeOf(long vocabulary, long multiple = DefaultMultiple, int worldSize = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(vocabulary);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(multiple);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(worldSize);
        var common = checked(multiple / (long)BigInteger.GreatestCommonDivisor(multiple, worldSize) * worldSize);
        var (quotient, rest) = Math.DivRem(vocabulary, common);
        return checked((rest == 0 ? quotient : quotient + 1) * common);
    }
}
