namespace IlgpuLoader.Loading;

/// <summary>Where a tensor, or the memory of a block, lies in a slab; or a piece in the memory that it is read into.</summary>
/// <param name="Slab">The slab's index in the plan.</param>
/// <param name="ByteOffset">The first byte, from the slab's start: a multiple of 256, but for pieces.</param>
public sealed record SlabPlace(int Slab, long ByteOffset);
