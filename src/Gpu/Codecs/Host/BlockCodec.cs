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
        where TWidth : struct, IVectorWidth =>
        VectorTargets.Run<Blocks<TWidth>>(source, destination, count, target, bypassCache);

    private readonly struct Blocks<TWidth> : IVectorWork
        where TWidth : struct, IVectorWidth
    {
        public static bool Run<TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
            where TTarget : struct, IVectorTarget
        {
            BlockConversion.Run<TWidth, TDecoder, TVectors, TTarget>(
                source, destination, count / BlockConversion.LengthOf<TDecoder>(), bypassCache);
            return true;
        }
    }
}
