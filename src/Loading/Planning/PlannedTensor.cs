using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

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

    /// <summary>
    /// The place in a block that the tensor is a view of; null where it has memory of its own, or that of the tensor it is tied to. A
    /// tied tensor is a view of the same block.
    /// </summary>
    public BlockPlace? Place { get; init; }

    /// <summary>
    /// The place in a slab where a model has the tensor's own memory; null where that is an allocation of its own, and for what has the memory of
    /// another tensor or of a block. A stream has no slabs.
    /// </summary>
    public SlabPlace? Slab { get; init; }

    /// <summary>
    /// Whether the tensor will be a view of its mapped file, which can only be read: nothing of it is loaded, and it takes no memory. So is
    /// what is tied to it, or a view of the same block.
    /// </summary>
    public bool IsMapped { get; init; }

    /// <summary>The index in the plan of the block that the tensor is a view of; null for none.</summary>
    public int? Block => Place?.Block;

    /// <summary>The strides the tensor will have, in elements; default for row-major, as it always is without a block.</summary>
    public ImmutableArray<long> Strides => Place?.Strides ?? default;

    /// <summary>The name.</summary>
    public string Name => Source.Name;

    /// <summary>The size of the elements on the device in bytes; what a tied tensor or a view of a block has it shares.</summary>
    public long ByteLength => DType.ByteCount(Shape.ElementCount);

    /// <summary>The number of stored elements that are loaded.</summary>
    public long SourceElementCount => Slice is not { } slice || Source.ElementCount == 0
        ? Source.ElementCount
        : Source.ElementCount / Source.Shape[slice.Dimension] * slice.Length;

    /// <summary>
    /// The size of what is loaded in bytes, as it is stored: with the whole of the blocks that a slice begins or ends in.
    /// </summary>
    public long SourceByteLength => Slice is null ? Source.DataByteLength
        : HasSegments ? Segments.Count * Segments.ByteLength
        : Source.DType.ByteCount(SourceElementCount);

    /// <summary>Where the tensor begins in its block, in bytes.</summary>
    internal long BlockByteOffset => DType.ByteCount(Place?.Offset ?? 0);

    /// <summary>The tensor as a view of its block's memory.</summary>
    /// <param name="block">The block as one row.</param>
    internal Tensor ViewOf(Tensor block) => new(block.Memory, DType, Shape, Strides, block.ByteOffset + BlockByteOffset);

    /// <summary>Values of the dtype for one stored element: 2 where complex numbers become pairs.</summary>
    internal int ValuesPerElement => DType == Source.DType ? 1 : Codecs.Of(Source.DType).ValuesPerElement;

    /// <summary>The stored element that goes to a place in the tensor; of a block type, the first of its block.</summary>
    /// <param name="destinationOffset">The place, in bytes from the tensor's start.</param>
    internal long FirstElementAt(long destinationOffset) => destinationOffset / DType.BlockSize * DType.BlockLength / ValuesPerElement;

    /// <summary>Whether a slice's bytes are segments of a range; else what is loaded is <see cref="Part"/>.</summary>
    internal bool HasSegments => Slice is not null && Source.IsContiguous;

    /// <summary>The part of the source that is loaded, as a tensor: the source, or where that has strides a view that is narrowed to the slice.</summary>
    internal TensorInfo Part => Slice is not { } slice ? Source
        : new TensorInfo(Name, Source.DType, Source.Shape.With(slice.Dimension, slice.Length), Source.File, Source.Offset, Source.ByteLength)
        {
            Strides = Source.Strides,
            StorageOffset = checked(Source.StorageOffset + (slice.Start * Source.Strides[slice.Dimension])),
        };

    /// <summary>The bytes that are loaded where they lie side by side, from the start of the file; else null.</summary>
    internal (long Offset, long ByteLength)? Range
    {
        get
        {
            if (!HasSegments)
            {
                var part = Part;
                return part.IsContiguous ? (part.DataOffset, part.DataByteLength) : null;
            }

            var segments = Segments;
            return segments.Count == 1 && !segments.CutsGroups ? (Source.DataOffset + segments.FirstByte, segments.ByteLength) : null;
        }
    }

    /// <summary>Where a slice's bytes lie in the storage.</summary>
    internal SliceSegments Segments => SliceSegments.Of(
        Source, Slice ?? throw new InvalidOperationException($"{Name} is not sliced."), isDecoded: DType != Source.DType);
}
