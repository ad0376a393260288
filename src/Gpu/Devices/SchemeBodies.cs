using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Makes the scalar bodies of views that were checked.</summary>
internal static class SchemeBodies
{
    /// <summary>The body of scaled blocks.</summary>
    public static BlockScaledBody Of(BlockScaledScheme scheme, in QuantizedView source) => new()
    {
        Columns = (int)source.Payload.Shape[1],
        RowBytes = source.Payload.Strides[0] * source.Payload.DType.BlockSize,
        ScaleStride = source.Scales.Strides[0],
        ZeroStride = source.ZeroPoints?.Strides[0] ?? 0,
        BlockRows = new InvariantDivisor(scheme.BlockRows),
        BlockColumns = new InvariantDivisor(scheme.BlockColumns),
        Scales = ScaleType.Of(source.Scales.DType),
        HasZeros = source.ZeroPoints is null ? 0 : 1,
    };

    /// <summary>The body of GPTQ.</summary>
    public static GptqBody Of(GptqScheme scheme, in QuantizedView source) => new()
    {
        Bits = scheme.Bits,
        WordShift = int.Log2(scheme.NumbersPerWord),
        WordStride = source.Payload.Strides[0],
        ScaleStride = source.Scales.Strides[0],
        ZeroStride = source.ZeroPoints!.Value.Strides[0],
        GroupSize = new InvariantDivisor(scheme.GroupSize),
        Scales = ScaleType.Of(source.Scales.DType),
        ZeroOffset = scheme.ZeroOffset,
        HasGroups = source.GroupIndices is null ? 0 : 1,
    };
}
