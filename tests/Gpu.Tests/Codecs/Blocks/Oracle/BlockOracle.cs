using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// Whole-block scalar decoding of every ggml type, as plainly as the layouts of formats.md 2.4 can be written down: an
/// implementation of its own, held against ggml's values itself. It shares no code with the codecs; of data it shares the grids of
/// the IQ types, which a test of their own holds against ggml's by hash.
/// </summary>
internal static partial class BlockOracle
{
    private delegate void Decoder(ReadOnlySpan<byte> block, Span<float> values);

    /// <summary>The float32 values of whole blocks.</summary>
    public static float[] Decode(DType dtype, ReadOnlySpan<byte> stored)
    {
        Decoder decode = dtype switch
        {
            DType.Q4_0 => Q4_0,
            DType.Q4_1 => Q4_1,
            DType.Q5_0 => Q5_0,
            DType.Q5_1 => Q5_1,
            DType.Q8_0 => Q8_0,
            DType.Q8_1 => Q8_1,
            DType.Q8_K => Q8_K,
            DType.Q1_0 => Q1_0,
            DType.Q2_0 => Q2_0,
            DType.IQ4_NL => IQ4_NL,
            DType.MXFP4 => MXFP4,
            DType.NVFP4 => NVFP4,
            DType.TQ1_0 => TQ1_0,
            DType.TQ2_0 => TQ2_0,
            DType.Q2_K => Q2_K,
            DType.Q3_K => Q3_K,
            DType.Q4_K => Q4_K,
            DType.Q5_K => Q5_K,
            DType.Q6_K => Q6_K,
            DType.IQ4_XS => IQ4_XS,
            DType.IQ2_XXS => IQ2_XXS,
            DType.IQ2_XS => IQ2_XS,
            DType.IQ2_S => IQ2_S,
            DType.IQ3_XXS => IQ3_XXS,
            DType.IQ3_S => IQ3_S,
            DType.IQ1_S => IQ1_S,
            DType.IQ1_M => IQ1_M,
            _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "There is no oracle for the type."),
        };
        var blocks = stored.Length / dtype.BlockSize;
        var values = new float[blocks * dtype.BlockLength];
        for (var i = 0; i < blocks; i++)
        {
            decode(stored.Slice(i * dtype.BlockSize, dtype.BlockSize), values.AsSpan(i * dtype.BlockLength, dtype.BlockLength));
        }

        return values;
    }

    private static float Half(ReadOnlySpan<byte> block, int offset) => (float)BitConverter.ToHalf(block[offset..]);
}
