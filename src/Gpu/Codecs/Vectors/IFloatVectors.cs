using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A float type as the vector paths see it: what is loaded becomes two vectors of float32, what is stored comes from two.
/// Every pair of types is one type's load followed by the other's store, so a type is written once, not once a pair.
/// </summary>
/// <remarks>Two vectors, because two of float32 make one of the 16-bit types: nothing is loaded or stored by halves.</remarks>
internal unsafe interface IFloatVectors
{
    /// <summary>Bytes of one value.</summary>
    static abstract int Size { get; }

    static abstract void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper);

    static abstract void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper);

    static abstract void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper);

    static abstract void Store<TStores>(byte* destination, Vector128<float> lower, Vector128<float> upper)
        where TStores : struct, IStores;

    static abstract void Store<TStores>(byte* destination, Vector256<float> lower, Vector256<float> upper)
        where TStores : struct, IStores;

    static abstract void Store<TStores>(byte* destination, Vector512<float> lower, Vector512<float> upper)
        where TStores : struct, IStores;
}
