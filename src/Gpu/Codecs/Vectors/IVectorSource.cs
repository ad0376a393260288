using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>A type that values are loaded from.</summary>
internal unsafe interface IVectorSource : IVectorType
{
    static abstract void Load(byte* source, out Vector128<float> lower, out Vector128<float> upper);

    static abstract void Load(byte* source, out Vector256<float> lower, out Vector256<float> upper);

    static abstract void Load(byte* source, out Vector512<float> lower, out Vector512<float> upper);

    /// <summary>Whether <see cref="LoadBrain"/> is there on this processor.</summary>
    static virtual bool HasBrain => false;

    /// <summary>Loads the values of one step of 512 bits as BF16, for types that are exact in it: then BF16 needs no rounding.</summary>
    static virtual Vector512<ushort> LoadBrain(byte* source) => throw new NotSupportedException("The type is not loaded as BF16.");
}
