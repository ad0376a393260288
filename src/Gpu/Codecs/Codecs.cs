using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>The table of all codecs. Immutable and safe for any thread.</summary>
/// <remarks>
/// To add a type: write its body (an <see cref="IElementDecoder"/> or, for blocks, an <see cref="IUnitDecoder"/>) in a file of
/// its own, and add a row here. It then decodes on the host, and the tests and kernels that are made from this table have it.
/// </remarks>
public static class Codecs
{
    /// <summary>Every codec there is, in no order to rely on.</summary>
    public static ImmutableArray<Codec> All { get; } =
    [
        new FloatCodec<F32Element, F32Vectors>(DType.F32),
        new FloatCodec<F16Element, F16Vectors>(DType.F16),
        new FloatCodec<BF16Element, BF16Vectors>(DType.BF16),
        new FloatCodec<F64Element, F64Vectors>(DType.F64),

        new FloatCodec<Float8Element<F8E4M3>, Float8Vectors<F8E4M3Layout>>(DType.F8_E4M3),
        new FloatCodec<Float8Element<F8E5M2>, Float8Vectors<F8E5M2Layout>>(DType.F8_E5M2),
        new FloatCodec<Float8Element<F8E4M3FNUZ>, Float8Vectors<F8E4M3FNUZLayout>>(DType.F8_E4M3FNUZ),
        new FloatCodec<Float8Element<F8E5M2FNUZ>, Float8Vectors<F8E5M2FNUZLayout>>(DType.F8_E5M2FNUZ),
        new FloatCodec<Float8Element<F8E8M0>, F8E8M0Vectors>(DType.F8_E8M0),
        new UnitCodec<Float6Unit<F6E2M3>>(DType.F6_E2M3),
        new UnitCodec<Float6Unit<F6E3M2>>(DType.F6_E3M2),
        new UnitCodec<F4Unit>(DType.F4),

        new UnitCodec<ElementUnit<BOOLElement>>(DType.BOOL),
        new UnitCodec<ElementUnit<I8Element>>(DType.I8),
        new UnitCodec<ElementUnit<U8Element>>(DType.U8),
        new UnitCodec<ElementUnit<I16Element>>(DType.I16),
        new UnitCodec<ElementUnit<U16Element>>(DType.U16),
        new UnitCodec<ElementUnit<I32Element>>(DType.I32),
        new UnitCodec<ElementUnit<U32Element>>(DType.U32),
        new UnitCodec<ElementUnit<I64Element>>(DType.I64),
        new UnitCodec<ElementUnit<U64Element>>(DType.U64),

        new BlockCodec<Q4_0Unit, Q4_0Vectors>(DType.Q4_0),
        new BlockCodec<Q4_1Unit, Q4_1Vectors>(DType.Q4_1),
        new BlockCodec<Q5_0Unit, Q5_0Vectors>(DType.Q5_0),
        new BlockCodec<Q5_1Unit, Q5_1Vectors>(DType.Q5_1),
        new BlockCodec<Q8_0Unit, Q8_0Vectors>(DType.Q8_0),
        new UnitCodec<Q8_1Unit>(DType.Q8_1),
        new UnitCodec<Q8_KUnit>(DType.Q8_K),
        new UnitCodec<Q1_0Unit>(DType.Q1_0),
        new UnitCodec<Q2_0Unit>(DType.Q2_0),
        new BlockCodec<IQ4_NLUnit, IQ4_NLVectors>(DType.IQ4_NL),
        new BlockCodec<MXFP4Unit, MXFP4Vectors>(DType.MXFP4),
        new BlockCodec<NVFP4Unit, NVFP4Vectors>(DType.NVFP4),
        new BlockCodec<TQ1_0Unit, TQ1_0Vectors>(DType.TQ1_0),
        new BlockCodec<TQ2_0Unit, TQ2_0Vectors>(DType.TQ2_0),
        new BlockCodec<Q2_KUnit, Q2_KVectors>(DType.Q2_K),
        new BlockCodec<Q3_KUnit, Q3_KVectors>(DType.Q3_K),
        new BlockCodec<Q4_KUnit, Q4_KVectors>(DType.Q4_K),
        new BlockCodec<Q5_KUnit, Q5_KVectors>(DType.Q5_K),
        new BlockCodec<Q6_KUnit, Q6_KVectors>(DType.Q6_K),
        new BlockCodec<IQ4_XSUnit, IQ4_XSVectors>(DType.IQ4_XS),
        new BlockCodec<IQ2_XXSUnit, IQ2_XXSVectors>(DType.IQ2_XXS),
        new BlockCodec<IQ2_XSUnit, IQ2_XSVectors>(DType.IQ2_XS),
        new BlockCodec<IQ2_SUnit, IQ2_SVectors>(DType.IQ2_S),
        new BlockCodec<IQ3_XXSUnit, IQ3_XXSVectors>(DType.IQ3_XXS),
        new BlockCodec<IQ3_SUnit, IQ3_SVectors>(DType.IQ3_S),
        new BlockCodec<IQ1_SUnit, IQ1_SVectors>(DType.IQ1_S),
        new BlockCodec<IQ1_MUnit, IQ1_MVectors>(DType.IQ1_M),

        new ComplexCodec(DType.C32, new FloatCodec<F16Element, F16Vectors>(DType.F16)),
        new ComplexCodec(DType.C64, new FloatCodec<F32Element, F32Vectors>(DType.F32)),
        new ComplexCodec(DType.C128, new FloatCodec<F64Element, F64Vectors>(DType.F64)),
    ];

    private static readonly ImmutableArray<Codec> ByType = [.. DType.All.Select(dtype => All.Single(codec => codec.DType == dtype))];

    /// <summary>
    /// The types that values are decoded to, by every codec. F8_E8M0, a scale without a sign, is not among them; nor are F4 and
    /// F6, whose values have a scale a block.
    /// </summary>
    public static ImmutableArray<DType> Targets { get; } =
    [
        DType.F32, DType.F16, DType.BF16, DType.F64, DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ,
    ];

    /// <summary>The names of <see cref="Targets"/>, for messages.</summary>
    internal static string TargetNames { get; } =
        $"{string.Join(", ", Targets.SkipLast(1).Select(target => target.Name))} or {Targets[^1].Name}";

    /// <summary>The codec of a stored type; every <see cref="DType"/> has one.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such type.</exception>
    public static Codec Of(DType dtype) => (uint)dtype < (uint)ByType.Length
        ? ByType[(int)dtype]
        : throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "There is no such dtype.");
}
