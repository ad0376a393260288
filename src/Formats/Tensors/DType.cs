using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats;

/// <summary>
/// The type of one stored element. One spelling everywhere: the upper-case name of the format that defines it.
/// Sizes and kinds are properties of <see cref="DTypeExtensions"/>.
/// </summary>
/// <remarks>
/// The first 22 are the safetensors types <b>in the reference's enum order</b> (safetensors/src/tensor.rs), which is
/// the writer's sort key: <see cref="Safetensors.SafetensorsWriter"/> compares the numeric values. Do not reorder.
/// Block types are ggml's (ggml/include/ggml.h); removed ids have no member. PyTorch's quantised types are carried as
/// U8, I8 or I32 with their parameters in the metadata.
/// </remarks>
[SuppressMessage("Naming", "CA1707:Identifiers should not contain underscores", Justification = "The field's own spelling: F8_E4M3, Q4_K.")]
[SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "I8 to U64 are the field's own names.")]
public enum DType
{
    /// <summary>One byte a value, 0 or 1 by convention; other bytes are kept as they are.</summary>
    BOOL,
    /// <summary>4-bit float E2M1 (OCP MX), two a byte.</summary>
    F4,
    /// <summary>6-bit float E2M3 (OCP MX), four in three bytes.</summary>
    F6_E2M3,
    /// <summary>6-bit float E3M2 (OCP MX), four in three bytes.</summary>
    F6_E3M2,
    /// <summary>Unsigned 8-bit integer.</summary>
    U8,
    /// <summary>Signed 8-bit integer.</summary>
    I8,
    /// <summary>8-bit float, bias 15, with infinities.</summary>
    F8_E5M2,
    /// <summary>8-bit float E4M3FN, bias 7, no infinities.</summary>
    F8_E4M3,
    /// <summary>8-bit power-of-two scale, bias 127, no sign, no zero.</summary>
    F8_E8M0,
    /// <summary>8-bit float E4M3, bias 8, one NaN, no negative zero.</summary>
    F8_E4M3FNUZ,
    /// <summary>8-bit float E5M2, bias 16, one NaN, no negative zero.</summary>
    F8_E5M2FNUZ,
    /// <summary>Signed 16-bit integer.</summary>
    I16,
    /// <summary>Unsigned 16-bit integer.</summary>
    U16,
    /// <summary>IEEE 754 binary16.</summary>
    F16,
    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,
    /// <summary>Signed 32-bit integer.</summary>
    I32,
    /// <summary>Unsigned 32-bit integer.</summary>
    U32,
    /// <summary>IEEE 754 binary32.</summary>
    F32,
    /// <summary>Complex of two F32, real part first.</summary>
    C64,
    /// <summary>IEEE 754 binary64.</summary>
    F64,
    /// <summary>Signed 64-bit integer.</summary>
    I64,
    /// <summary>Unsigned 64-bit integer.</summary>
    U64,

    /// <summary>Complex of two F16 (PyTorch's complex32); not a safetensors type.</summary>
    C32,
    /// <summary>Complex of two F64 (PyTorch's complex128); not a safetensors type.</summary>
    C128,

    /// <summary>ggml block: 32 elements in 18 bytes.</summary>
    Q4_0,
    /// <summary>ggml block: 32 elements in 20 bytes.</summary>
    Q4_1,
    /// <summary>ggml block: 32 elements in 22 bytes.</summary>
    Q5_0,
    /// <summary>ggml block: 32 elements in 24 bytes.</summary>
    Q5_1,
    /// <summary>ggml block: 32 elements in 34 bytes.</summary>
    Q8_0,
    /// <summary>ggml block: 32 elements in 36 bytes.</summary>
    Q8_1,
    /// <summary>ggml super-block: 256 elements in 84 bytes.</summary>
    Q2_K,
    /// <summary>ggml super-block: 256 elements in 110 bytes.</summary>
    Q3_K,
    /// <summary>ggml super-block: 256 elements in 144 bytes.</summary>
    Q4_K,
    /// <summary>ggml super-block: 256 elements in 176 bytes.</summary>
    Q5_K,
    /// <summary>ggml super-block: 256 elements in 210 bytes.</summary>
    Q6_K,
    /// <summary>ggml super-block: 256 elements in 292 bytes.</summary>
    Q8_K,
    /// <summary>ggml super-block: 256 elements in 66 bytes.</summary>
    IQ2_XXS,
    /// <summary>ggml super-block: 256 elements in 74 bytes.</summary>
    IQ2_XS,
    /// <summary>ggml super-block: 256 elements in 98 bytes.</summary>
    IQ3_XXS,
    /// <summary>ggml super-block: 256 elements in 50 bytes.</summary>
    IQ1_S,
    /// <summary>ggml block: 32 elements in 18 bytes.</summary>
    IQ4_NL,
    /// <summary>ggml super-block: 256 elements in 110 bytes.</summary>
    IQ3_S,
    /// <summary>ggml super-block: 256 elements in 82 bytes.</summary>
    IQ2_S,
    /// <summary>ggml super-block: 256 elements in 136 bytes.</summary>
    IQ4_XS,
    /// <summary>ggml super-block: 256 elements in 56 bytes.</summary>
    IQ1_M,
    /// <summary>ggml super-block: 256 elements in 54 bytes.</summary>
    TQ1_0,
    /// <summary>ggml super-block: 256 elements in 66 bytes.</summary>
    TQ2_0,
    /// <summary>OCP MX block as ggml stores it: 32 elements in 17 bytes.</summary>
    MXFP4,
    /// <summary>NVIDIA FP4 block as ggml stores it: 64 elements in 36 bytes.</summary>
    NVFP4,
    /// <summary>ggml block: 128 elements in 18 bytes.</summary>
    Q1_0,
    /// <summary>ggml block: 64 elements in 18 bytes.</summary>
    Q2_0,
}
