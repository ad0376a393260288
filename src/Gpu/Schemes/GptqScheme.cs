using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// GPTQ: small unsigned integers, packed along the inputs into I32, lowest bits first. <c>qweight</c> is [inputs / n, outputs] with n = 32 / bits, <c>scales</c> [groups, outputs],
/// <c>qzeros</c> I32 [groups, ceil(outputs / n)], and <c>g_idx</c> I32 [inputs] says each input's group; without it, inputs are grouped in their order. The result is
/// [outputs, inputs]: (q - (zero + offset)) * scale.
/// </summary>
/// <remarks>The zero point with its offset is not cut to its bits again: a stored 15 with an offset of 1 is 16, as vLLM's kernels have it.</remarks>
public sealed record GptqScheme : QuantizationScheme
{
    /// <summary>Makes the scheme.</summary>
    /// <param name="bits">The bits of a number: 2, 4 or 8. Three are packed across words, and are not read.</param>
    /// <param name="groupSize">The inputs of a group where there is no <c>g_idx</c>; as many as there are, or more, for one group.</param>
    /// <param name="zeroOffset">What is added to a stored zero point: 1 in AutoGPTQ's format (<c>gptq</c>), 0 in <c>gptq_v2</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The bits are others, a group has less than one input, or the offset is neither 0 nor 1.</exception>
    public GptqScheme(int bits, long groupSize, int zeroOffset = 1)
    {
        if (bits is not (2 or 4 or 8))
        {
            throw new ArgumentOutOfRangeException(nameof(bits), bits, "Numbers have 2, 4 or 8 bits.");
        }

        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(groupSize);
        if (zeroOffset is not (0 or 1))
        {
            throw new ArgumentOutOfRangeException(nameof(zeroOffset), zeroOffset, "The offset is 0 or 1.");
        }

        (Bits, GroupSize, ZeroOffset) = (bits, groupSize, zeroOffset);
    }

    /// <summary>The types that values are given in.</summary>
    public static ImmutableArray<DType> Targets { get; } = [DType.F32, DType.F16, DType.BF16];

    /// <summary>The bits of a number.</summary>
    public int Bits { get; }

    /// <summary>The inputs of a group.</summary>
    public long GroupSize { get; }

    /// <summary>What is added to a stored zero point.</summary>
    public int ZeroOffset { get; }

    /// <summary>The numbers in a word.</summary>
    public int NumbersPerWord => 32 / Bits;

    /// <inheritdoc/>
    public override Shape ResultShape(Shape payload)
    {
        CheckMatrix(payload);
        return new Shape(payload[1], checked(payload[0] * NumbersPerWord));
    }
}
