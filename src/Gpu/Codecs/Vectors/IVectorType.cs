namespace IlgpuLoader.Gpu;

/// <summary>
/// A float type as the vector paths see it: what is loaded becomes two vectors of float32, what is stored comes from two.
/// Every pair of types is one type's load followed by the other's store, so a type is written once, not once a pair.
/// </summary>
/// <remarks>Two vectors, because two of float32 make one of the 16-bit types: nothing of those is loaded or stored by halves.</remarks>
internal interface IVectorType
{
    /// <summary>Bytes of one value.</summary>
    static abstract int Size { get; }
}
