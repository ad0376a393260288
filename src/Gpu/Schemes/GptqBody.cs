using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>The scalar body of <see cref="GptqScheme"/>, and what it has to know; see <see cref="BlockScaledBody"/>.</summary>
internal readonly struct GptqBody
{
    /// <summary>The bits of a number.</summary>
    public int Bits { get; init; }

    /// <summary>The binary logarithm of the numbers in a word.</summary>
    public int WordShift { get; init; }

    /// <summary>The words from one row of <c>qweight</c> to the next.</summary>
    public long WordStride { get; init; }

    /// <summary>The scales from one group to the next.</summary>
    public long ScaleStride { get; init; }

    /// <summary>The words from one group's zero points to the next.</summary>
    public long ZeroStride { get; init; }

    /// <summary>The inputs of a group.</summary>
    public InvariantDivisor GroupSize { get; init; }

    /// <summary>How scales are stored.</summary>
    public ScaleType Scales { get; init; }

    /// <summary>What is added to a zero point.</summary>
    public int ZeroOffset { get; init; }

    /// <summary>1 where inputs say their groups, else 0.</summary>
    public int HasGroups { get; init; }

    /// <summary>Decodes the numbers of one word: neighbouring inputs of an output.</summary>
    /// <param name="words">The packed numbers.</param>
    /// <param name="scales">The scales.</param>
    /// <param name="zeros">The packed zero points.</param>
    /// <param name="groups">The groups of inputs, each within the scales; not read where there are none.</param>
    /// <param name="sink">The result; four neighbours are stored at once.</param>
    /// <param name="output">The output.</param>
    /// <param name="word">Which of its words.</param>
    /// <param name="index">Where the word's first value goes, a multiple of 4 for a sink that wants that.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void DecodeWord<TReader, TSink>(TReader words, TReader scales, TReader zeros, TReader groups, TSink sink, int output, int word, long index)
        where TReader : struct, IByteReader
        where TSink : struct, IValueSink
    {
        var packed = words.ReadInt32(((word * WordStride) + output) * 4);
        var input = word << WordShift;
        var count = 1 << WordShift;
        var mask = (1 << Bits) - 1;
        var first = GroupSize.Divide(input);
        if (HasGroups == 0 && GroupSize.Divide(input + count - 1) == first)
        {
            var scale = Scales.Read(scales, (first * ScaleStride) + output);
            var zero = ZeroOf(zeros, first, output);
            for (var i = 0; i < count; i += 4)
            {
                var shift = i * Bits;
                sink.WriteFour(
                    index + i,
                    BlockArithmetic.Multiply(scale, ((packed >> shift) & mask) - zero),
                    BlockArithmetic.Multiply(scale, ((packed >> (shift + Bits)) & mask) - zero),
                    BlockArithmetic.Multiply(scale, ((packed >> (shift + (2 * Bits))) & mask) - zero),
                    BlockArithmetic.Multiply(scale, ((packed >> (shift + (3 * Bits))) & mask) - zero));
            }

            return;
        }

        for (var i = 0; i < count; i += 4)
        {
            var shift = i * Bits;
            sink.WriteFour(
                index + i,
                ValueOf(scales, zeros, groups, output, input + i, (packed >> shift) & mask),
                ValueOf(scales, zeros, groups, output, input + i + 1, (packed >> (shift + Bits)) & mask),
                ValueOf(scales, zeros, groups, output, input + i + 2, (packed >> (shift + (2 * Bits))) & mask),
                ValueOf(scales, zeros, groups, output, input + i + 3, (packed >> (shift + (3 * Bits))) & mask));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int ValueOf<TReader>(TReader scales, TReader zeros, TReader groups, int output, int input, int number)
        where TReader : struct, IByteReader
    {
        var group = HasGroups == 0 ? GroupSize.Divide(input) : groups.ReadInt32(input * 4L);
        return BlockArithmetic.Multiply(Scales.Read(scales, (group * ScaleStride) + output), number - ZeroOf(zeros, group, output));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int ZeroOf<TReader>(TReader zeros, int group, int output)
        where TReader : struct, IByteReader
    {
        var packed = zeros.ReadInt32(((group * ZeroStride) + (output >> WordShift)) * 4);
        return ((packed >> ((output & ((1 << WordShift) - 1)) * Bits)) & ((1 << Bits) - 1)) + ZeroOffset;
    }
}
