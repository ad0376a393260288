using System.Runtime.Intrinsics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A codec of a block type, with vector paths to all types that values are decoded to.</summary>
/// <typeparam name="TDecoder">The scalar body.</typeparam>
/// <typeparam name="TVectors">The type in vectors.</typeparam>
internal sealed unsafe class BlockCodec<TDecoder, TVectors>(DType dtype) : UnitCodec<TDecoder>(dtype)
    where TDecoder : struct, IUnitDecoder
    where TVectors : struct, IBlockVectors
{
    internal override void DecodeFast(byte* source, byte* destination, long count, DType target, bool bypassCache)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            DecodeWith<Width512>(source, destination, (nint)count, target, bypassCache);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            DecodeWith<Width256>(source, destination, (nint)count, target, bypassCache);
        }
        else if (Vector128.IsHardwareAccelerated)
        {
            DecodeWith<Width128>(source, destination, (nint)count, target, bypassCache);
        }
        else
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
                Run<TWidth, F32Vectors>(source, destination, count, bypassCache);
                break;
            case DType.F16:
                Run<TWidth, F16Vectors>(source, destination, count, bypassCache);
                break;
            case DType.BF16:
                Run<TWidth, BF16Vectors>(source, destination, count, bypassCache);
                break;
            case DType.F64:
                Run<TWidth, F64Vectors>(source, destination, count, bypassCache);
                break;
            case DType.F8_E4M3:
                Run<TWidth, Float8Vectors<F8E4M3Layout>>(source, destination, count, bypassCache);
                break;
            case DType.F8_E5M2:
                Run<TWidth, Float8Vectors<F8E5M2Layout>>(source, destination, count, bypassCache);
                break;
            case DType.F8_E4M3FNUZ:
                Run<TWidth, Float8Vectors<F8E4M3FNUZLayout>>(source, destination, count, bypassCache);
                break;
            case DType.F8_E5M2FNUZ:
                Run<TWidth, Float8Vectors<F8E5M2FNUZLayout>>(source, destination, count, bypassCache);
                break;
            default:
                throw new ArgumentException($"{target.Name} is not a type that values are decoded to.", nameof(target));
        }
    }

    private static void Run<TWidth, TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
        where TWidth : struct, IVectorWidth
        where TTarget : struct, IVectorTarget =>
        BlockConversion.Run<TWidth, TDecoder, TVectors, TTarget>(source, destination, count / BlockConversion.LengthOf<TDecoder>(), bypassCache);
}
