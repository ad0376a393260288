using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>A memory that several tensors of a saved state lie in, or one whose elements do not lie side by side.</summary>
/// <param name="ByteLength">Its size in bytes.</param>
/// <param name="Views">What lies in it, in the order of the state.</param>
internal sealed record RestoredMemory(long ByteLength, ImmutableArray<RestoredView> Views);
