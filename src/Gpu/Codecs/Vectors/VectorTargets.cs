using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Work over vectors whose target type is known only when it is asked for.</summary>
internal unsafe interface IVectorWork
{
    /// <summary>Does the work, or returns false where the processor has no vectors for it.</summary>
    static abstract bool Run<TTarget>(byte* source, byte* destination, nint count, bool bypassCache)
        where TTarget : struct, IVectorTarget;
}

/// <summary>The types of <see cref="Codecs.Targets"/> in vectors: a new target is a row here, for all codecs that have vectors.</summary>
internal static unsafe class VectorTargets
{
    /// <summary>Does work for a target type.</summary>
    /// <returns>What the work returns.</returns>
    /// <exception cref="ArgumentException">Nothing is decoded to the type.</exception>
    public static bool Run<TWork>(byte* source, byte* destination, nint count, DType target, bool bypassCache)
        where TWork : struct, IVectorWork => target switch
        {
            DType.F32 => TWork.Run<F32Vectors>(source, destination, count, bypassCache),
            DType.F16 => TWork.Run<F16Vectors>(source, destination, count, bypassCache),
            DType.BF16 => TWork.Run<BF16Vectors>(source, destination, count, bypassCache),
            DType.F64 => TWork.Run<F64Vectors>(source, destination, count, bypassCache),
            DType.F8_E4M3 => TWork.Run<Float8Vectors<F8E4M3Layout>>(source, destination, count, bypassCache),
            DType.F8_E5M2 => TWork.Run<Float8Vectors<F8E5M2Layout>>(source, destination, count, bypassCache),
            DType.F8_E4M3FNUZ => TWork.Run<Float8Vectors<F8E4M3FNUZLayout>>(source, destination, count, bypassCache),
            DType.F8_E5M2FNUZ => TWork.Run<Float8Vectors<F8E5M2FNUZLayout>>(source, destination, count, bypassCache),
            _ => throw new ArgumentException($"{target.Name} is not a type that values are decoded to.", nameof(target)),
        };
}
