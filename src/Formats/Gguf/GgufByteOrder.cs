namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// What a big-endian file stores the other way round: every member of ggml's structs that is wider than a byte
/// (ggml/src/ggml-common.h). Arrays of bytes stay as they are, even where they hold a wider number in pieces.
/// </summary>
internal static class GgufByteOrder
{
    /// <summary>The numbers in a block of this type; none for types made of bytes alone.</summary>
    public static SwappedField[] Fields(DType dtype) => dtype switch
    {
        DType.F16 or DType.BF16 or DType.I16 => [new(0, 2)],
        DType.F32 or DType.I32 => [new(0, 4)],
        DType.F64 or DType.I64 => [new(0, 8)],
        // ggml_half d first.
        DType.Q4_0 or DType.Q5_0 or DType.Q8_0 or DType.IQ4_NL or DType.Q1_0 or DType.Q2_0 => [new(0, 2)],
        DType.IQ3_XXS or DType.IQ3_S or DType.IQ2_S => [new(0, 2)],
        // Two ggml_half first: d with m, s or dmin.
        DType.Q4_1 or DType.Q5_1 or DType.Q8_1 or DType.Q4_K or DType.Q5_K => [new(0, 2, 2)],
        // d, and behind it uint16_t scales_h.
        DType.IQ4_XS => [new(0, 2, 2)],
        // d, and behind it uint16_t qs[32].
        DType.IQ2_XXS or DType.IQ2_XS => [new(0, 2, 33)],
        // d, uint8_t qs[32], uint16_t qh[8].
        DType.IQ1_S => [new(0, 2), new(34, 2, 8)],
        // ggml_half at the end.
        DType.Q2_K => [new(80, 2, 2)],
        DType.Q3_K => [new(108, 2)],
        DType.Q6_K => [new(208, 2)],
        DType.TQ1_0 => [new(52, 2)],
        DType.TQ2_0 => [new(64, 2)],
        // float d, int8_t qs[256], int16_t bsums[16].
        DType.Q8_K => [new(0, 4), new(260, 2, 16)],
        // I8; IQ1_M, whose scales are uint8_t; MXFP4 and NVFP4, whose scales are single bytes.
        _ => [],
    };
}
