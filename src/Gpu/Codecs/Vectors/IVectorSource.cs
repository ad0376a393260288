using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>A type that values are loaded from.</summary>
internal unsafe interface IVectorSource : IVectorType
{
    static abstract void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper);

    static abstract void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper);

    static abstract void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper);
}
