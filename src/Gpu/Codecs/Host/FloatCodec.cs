using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A codec of a float type, with vector paths to all types that values are decoded to.</summary>
/// <typeparam name="TElement">The scalar body.</typeparam>
/// <typeparam name="TVectors">The type in vectors.</typeparam>
internal sealed unsafe class FloatCodec<TElement, TVectors>(DType dtype) : UnitCodec<ElementUnit<TElement>>(dtype)
    where TElement : struct, IElementDecoder
    where TVectors : struct, IVectorSource
{
    internal override void DecodeFast(byte* source, byte* destination, long count, DType target, bool bypassCache)
    {
        if (!Run<Widest>(source, destination, (nint)count, target, bypassCache))
        {
            DecodeUnits(source, destination, count, target);
        }
    }

    /// <summary>The path of one vector width, whatever the processor has, for tests to call by name.</summary>
    internal static void DecodeWith<TWidth>(byte* source, byte* destination, nint count, DType target, bool bypassCache)
        where TWidth : struct, IVectorWidth =>
        Run<Chosen<TWidth>>(source, destination, count, target, bypassCache);

    private static bool Run<TChoice>(byte* source, byte* destination, nint count, DType target, bool bypassCache)
        where TChoice : struct, IChoice => target switch
        {
            DType.F32 => TChoice.Run<F32Vectors>(source, destination, count, bypassCache),
            DType.F16 => TChoice.Run<F16Vectors>(source, destination, count, bypassCache),
            DType.BF16 => TChoice.Run<BF16Vectors>(source, destination, count, bypassCache),
            DType.F64 => TChoice.Run<F64Vectors>(source, destination, count, bypassCache),
            DType.F8_E4M3 => TChoice.Run<Float8Vectors<F8E4M3Layout>>(source, destination, count, bypassCache),
            DType.F8_E5M2 => TChoice.Run<Float8Vectors<F8E5M2Layout>>(source, destination, count, bypassCache),
            DType.F8_E4M3FNUZ => TChoice.Run<Float8Vectors<F8E4M3FNUZLayout>>(source, destination, count, bypassCache),
            DType.F8_E5M2FNUZ => TChoice.Run<Float8Vectors<F8E5M2FNUZLayout>>(source, destination, count, bypassCache),
            _ => throw new ArgumentException($"{target.Name} is not a type that values are decoded to.", nameof(target)),
        };

    /// <summary>Which width runs: the processor's widest, or one by name.</summary>
    private interface IChoice
    {
        /// <summary>Converts, or returns false where the processor has no vectors.</summary>
        static abstract bool Run<TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
            where TTarget : struct, IVectorTarget;
    }

    private readonly struct Widest : IChoice
    {
        public static bool Run<TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
            where TTarget : struct, IVectorTarget =>
            VectorConversion.TryRunWidest<TVectors, TTarget>(source, destination, count, bypassCache);
    }

    private readonly struct Chosen<TWidth> : IChoice
        where TWidth : struct, IVectorWidth
    {
        public static bool Run<TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
            where TTarget : struct, IVectorTarget
        {
            VectorConversion.Run<TWidth, TVectors, TTarget>(source, destination, count, bypassCache);
            return true;
        }
    }
}
