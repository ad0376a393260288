using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A tensor of a saved state, as it is restored.</summary>
/// <param name="Name">Its name.</param>
/// <param name="DType">Its element type.</param>
/// <param name="Shape">Its dimensions, outermost first.</param>
/// <param name="Strides">Its strides, in elements, or in blocks for block types.</param>
/// <param name="StoredIn">The name of the tensor in the files that has its bytes: its own, or that of one whose memory it shares.</param>
public sealed record ShardedTensor(string Name, DType DType, Shape Shape, ImmutableArray<long> Strides, string StoredIn)
{
    /// <summary>Whether the files have it under its own name.</summary>
    public bool IsStored => string.Equals(Name, StoredIn, StringComparison.Ordinal);
}
