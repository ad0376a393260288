using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>A type that values are stored to, narrowed by the rules of <see cref="FloatBits"/>.</summary>
internal unsafe interface IVectorTarget : IVectorType
{
    static abstract void Store<TStores>(byte* destination, Vector128<float> lower, Vector128<float> upper)
        where TStores : struct, IStores;

    static abstract void Store<TStores>(byte* destination, Vector256<float> lower, Vector256<float> upper)
        where TStores : struct, IStores;

    static abstract void Store<TStores>(byte* destination, Vector512<float> lower, Vector512<float> upper)
        where TStores : struct, IStores;
}
