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
        if (!VectorTargets.Run<Widest>(source, destination, (nint)count, target, bypassCache))
        {
            DecodeUnits(source, destination, count, target);
        }
    }

    /// <summary>The path of one vector width, whatever the processor has, for tests to call by name.</summary>
    internal static void DecodeWith<TWidth>(byte* source, byte* destination, nint count, DType target, bool bypassCache)
        where TWidth : struct, IVectorWidth =>
        VectorTargets.Run<Chosen<TWidth>>(source, destination, count, target, bypassCache);

    private readonly struct Widest : IVectorWork
    {
        public static bool Run<TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
            where TTarget : struct, IVectorTarget =>
            VectorConversion.TryRunWidest<TVectors, TTarget>(source, destination, count, bypassCache);
    }

    private readonly struct Chosen<TWidth> : IVectorWork
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
