using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// A part of a storage that is loaded once, as one row of elements, into one memory that several tensors are views of; or one whose
/// elements do not lie side by side.
/// </summary>
/// <param name="Memory">
/// The row as a tensor of one dimension (two for complex numbers that become pairs); named after the first of the block's tensors.
/// </param>
/// <param name="Tensors">The tensors that are views of it, as ascending indexes in the plan.</param>
/// <param name="BytesNeeded">The bytes of their elements as they are stored, as far as is known of dimensions that overlap.</param>
public sealed record PlannedBlock(PlannedTensor Memory, ImmutableArray<int> Tensors, long BytesNeeded);
