using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What is taken of a saved rank's tensor. Immutable.</summary>
/// <param name="Rank">The saved rank.</param>
/// <param name="DType">Its dtype there.</param>
/// <param name="Shape">Its shape there.</param>
/// <param name="Shares">What of it is needed.</param>
internal sealed record ReshardSource(int Rank, DType DType, Shape Shape, ImmutableArray<ReshardShare> Shares)
{
    /// <summary>Its size in bytes.</summary>
    public long ByteLength => DType.ByteCount(Shape.ElementCount);
}
