using System.Collections.Immutable;

namespace IlgpuLoader.Formats.Torch;

/// <summary>A tensor that a pickle describes, held against its storage.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="DType">The type of its elements.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Strides">Its strides in elements, as the pickle says them.</param>
/// <param name="StorageOffset">Where it begins in the storage, in elements.</param>
/// <param name="Storage">The storage.</param>
internal sealed record TorchFinding(
    TorchPath Path, DType DType, Shape Shape, ImmutableArray<long> Strides, long StorageOffset, TorchStorage Storage)
{
    /// <summary>The bytes of one number in an element: what a change of the byte order turns round.</summary>
    public required int NumberSize { get; init; }
}
