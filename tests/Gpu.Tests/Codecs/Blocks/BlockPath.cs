using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The vector path of one width of a block type, called by name whatever the processor has.</summary>
internal static unsafe class BlockPath
{
    public delegate void Run(byte* source, byte* destination, nint count, DType target, bool bypassCache);

    /// <summary>The block types that have vector paths.</summary>
    public static readonly DType[] Sources =
    [
        DType.Q4_0,
        DType.Q4_1, DType.Q5_0, DType.Q5_1, DType.Q8_0, DType.IQ4_NL, DType.MXFP4, DType.NVFP4, DType.TQ1_0, DType.TQ2_0,
        DType.Q2_K, DType.Q3_K, DType.Q4_K, DType.Q5_K, DType.Q6_K, DType.IQ4_XS,
        DType.IQ2_XXS, DType.IQ2_XS, DType.IQ2_S, DType.IQ3_XXS, DType.IQ3_S, DType.IQ1_S, DType.IQ1_M,
    ];

    /// <summary>Decodes all of <paramref name="source"/>, which fills <paramref name="destination"/>.</summary>
    public static void Decode(DType dtype, int width, ReadOnlySpan<byte> source, Span<byte> destination, DType target, bool bypassCache)
    {
        var run = Find(dtype, width);
        fixed (byte* first = source)
        fixed (byte* result = destination)
        {
            run(first, result, source.Length / dtype.BlockSize * dtype.BlockLength, target, bypassCache);
        }
    }

    private static Run Find(DType dtype, int width) => dtype switch
    {
        DType.Q4_0 => Of<Q4_0Unit, Q4_0Vectors>(width),
        DType.Q4_1 => Of<Q4_1Unit, Q4_1Vectors>(width),
        DType.Q5_0 => Of<Q5_0Unit, Q5_0Vectors>(width),
        DType.Q5_1 => Of<Q5_1Unit, Q5_1Vectors>(width),
        DType.Q8_0 => Of<Q8_0Unit, Q8_0Vectors>(width),
        DType.IQ4_NL => Of<IQ4_NLUnit, IQ4_NLVectors>(width),
        DType.MXFP4 => Of<MXFP4Unit, MXFP4Vectors>(width),
        DType.NVFP4 => Of<NVFP4Unit, NVFP4Vectors>(width),
        DType.TQ1_0 => Of<TQ1_0Unit, TQ1_0Vectors>(width),
        DType.TQ2_0 => Of<TQ2_0Unit, TQ2_0Vectors>(width),
        DType.Q2_K => Of<Q2_KUnit, Q2_KVectors>(width),
        DType.Q3_K => Of<Q3_KUnit, Q3_KVectors>(width),
        DType.Q4_K => Of<Q4_KUnit, Q4_KVectors>(width),
        DType.Q5_K => Of<Q5_KUnit, Q5_KVectors>(width),
        DType.Q6_K => Of<Q6_KUnit, Q6_KVectors>(width),
        DType.IQ4_XS => Of<IQ4_XSUnit, IQ4_XSVectors>(width),
        DType.IQ2_XXS => Of<IQ2_XXSUnit, IQ2_XXSVectors>(width),
        DType.IQ2_XS => Of<IQ2_XSUnit, IQ2_XSVectors>(width),
        DType.IQ2_S => Of<IQ2_SUnit, IQ2_SVectors>(width),
        DType.IQ3_XXS => Of<IQ3_XXSUnit, IQ3_XXSVectors>(width),
        DType.IQ3_S => Of<IQ3_SUnit, IQ3_SVectors>(width),
        DType.IQ1_S => Of<IQ1_SUnit, IQ1_SVectors>(width),
        DType.IQ1_M => Of<IQ1_MUnit, IQ1_MVectors>(width),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    private static Run Of<TDecoder, TVectors>(int width)
        where TDecoder : struct, IUnitDecoder
        where TVectors : struct, IBlockVectors => width switch
        {
            128 => BlockCodec<TDecoder, TVectors>.DecodeWith<Width128>,
            256 => BlockCodec<TDecoder, TVectors>.DecodeWith<Width256>,
            _ => BlockCodec<TDecoder, TVectors>.DecodeWith<Width512>,
        };
}
