using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Where a tensor lies in the memory of a block.</summary>
/// <param name="Block">The block's index in the plan.</param>
/// <param name="Offset">The first element, in elements of the dtype that the block is loaded as.</param>
/// <param name="Strides">The strides the tensor will have, in elements; default for row-major.</param>
public sealed record BlockPlace(int Block, long Offset, ImmutableArray<long> Strides);
