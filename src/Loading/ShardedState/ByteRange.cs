using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Where a tensor's elements lie in its memory.</summary>
/// <param name="Begin">The first byte of the first element.</param>
/// <param name="End">The byte after the last reachable element; the same as the first where there are no elements.</param>
internal readonly record struct ByteRange(long Begin, long End)
{
    /// <summary>The size in bytes, with what lies between the elements.</summary>
    public long Length => End - Begin;

    /// <summary>The range of a tensor.</summary>
    public static ByteRange Of(Tensor tensor)
    {
        var dtype = tensor.DType;
        var last = StridedView.LastElementOf(dtype, tensor.Shape, tensor.Strides);
        // Strides count blocks for block types, and elements for those of which several share a byte.
        var units = dtype.IsBlock ? last + 1 : (last / dtype.BlockLength) + 1;
        return new ByteRange(tensor.ByteOffset, tensor.ByteOffset + (last < 0 ? 0 : checked(units * dtype.BlockSize)));
    }

    /// <summary>Whether all of another range lies within this one.</summary>
    public bool Covers(ByteRange other) => Begin <= other.Begin && other.End <= End;
}
