using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A tensor that a plan will make.</summary>
/// <param name="Source">The tensor in the checkpoint.</param>
/// <param name="DType">The dtype it will have on the device.</param>
/// <param name="Shape">The shape it will have on the device.</param>
public sealed record PlannedTensor(TensorInfo Source, DType DType, Shape Shape)
{
    /// <summary>The part of the source that is loaded; null for all of it.</summary>
    public TensorSlice? Slice { get; init; }

    /// <summary>
    /// The index in the plan of the earlier tensor that this one is tied to: it has the same part of the same storage,
    /// is not read again, and shares its memory. Null where the tensor has memory of its own.
    /// </summary>
    public int? TiedTo { get; init; }

    /// <summary>The name.</summary>
    public string Name => Source.Name;

    /// <summary>The size on the device in bytes; what a tied tensor has it shares.</summary>
    public long ByteLength => DType.ByteCount(Shape.ElementCount);

    /// <summary>The number of stored elements that are loaded.</summary>
    public long SourceElementCount => Slice is not { } slice || Source.ElementCount == 0
        ? Source.ElementCount
        : Source.ElementCount / Source.Shape[slice.Dimension] * slice.Length;

    /// <summary>
    /// The size of what is loaded in bytes, as it is stored: with the whole of the blocks that a slice begins or ends in.
    /// </summary>
    public long SourceByteLength => Slice is null ? Source.ByteLength : Segments.Count * Segments.ByteLength;

    /// <summary>Where a slice's bytes lie in the storage.</summary>
    internal SliceSegments Segments => SliceSegments.Of(
        Source, Slice ?? throw new InvalidOperationException($"{Name} is not sliced."), isDecoded: DType != Source.DType);
}
