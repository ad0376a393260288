using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A codec of a float type, with vector paths to the other float types.</summary>
/// <typeparam name="TElement">The scalar body.</typeparam>
/// <typeparam name="TVectors">The type in vectors.</typeparam>
internal sealed unsafe class FloatCodec<TElement, TVectors>(DType dtype) : UnitCodec<ElementUnit<TElement>>(dtype)
    where TElement : struct, IElementDecoder
    where TVectors : struct, IFloatVectors
{
    internal override void DecodeFast(byte* source, byte* destination, long count, DType target, bool bypassCache)
    {
        var values = (nint)count;
        var ran = target switch
        {
            DType.F32 => VectorConversion.TryRunWidest<TVectors, F32Vectors>(source, destination, values, bypassCache),
            DType.F16 => VectorConversion.TryRunWidest<TVectors, F16Vectors>(source, destination, values, bypassCache),
            DType.BF16 => VectorConversion.TryRunWidest<TVectors, BF16Vectors>(source, destination, values, bypassCache),
            DType.F64 => VectorConversion.TryRunWidest<TVectors, F64Vectors>(source, destination, values, bypassCache),
            _ => false,
        };
        if (!ran)
        {
            DecodeUnits(source, destination, count, target);
        }
    }

    /// <summary>The path of one vector width, whatever the processor has, for tests to call by name.</summary>
    internal static void DecodeWith<TWidth>(byte* source, byte* destination, nint count, DType target, bool bypassCache)
        where TWidth : struct, IVectorWidth
    {
        switch (target)
        {
            case DType.F32:
                VectorConversion.Run<TWidth, TVectors, F32Vectors>(source, destination, count, bypassCache);
                break;
            case DType.F16:
                VectorConversion.Run<TWidth, TVectors, F16Vectors>(source, destination, count, bypassCache);
                break;
            case DType.BF16:
                VectorConversion.Run<TWidth, TVectors, BF16Vectors>(source, destination, count, bypassCache);
                break;
            case DType.F64:
                VectorConversion.Run<TWidth, TVectors, F64Vectors>(source, destination, count, bypassCache);
                break;
            default:
                throw new ArgumentException($"{target.Name} is not a type that values are decoded to.", nameof(target));
        }
    }
}
