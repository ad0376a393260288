using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Finds tensors that have the same part of the same storage: the first of them is read, the others are tied to it. Two
/// that take different parts, or see the storage as different dtypes, are read by themselves.
/// </summary>
internal sealed class TiedStorage
{
    // The shape counts only with a slice: whole storages hold the same elements in any shape.
    private readonly record struct Part(CheckpointFile File, long Offset, long ByteLength, DType DType, TensorSlice? Slice, Shape Shape);

    private readonly Dictionary<Part, int> _first = [];

    /// <summary>The tensor as it is planned at an index: tied to an earlier one where there is one to share with.</summary>
    public PlannedTensor Tie(int index, PlannedTensor tensor)
    {
        var source = tensor.Source;
        // Where there are no bytes nothing is shared: any number of empty tensors begin at one offset.
        if (tensor.SourceByteLength == 0)
        {
            return tensor;
        }

        var part = new Part(
            source.File, source.Offset, source.ByteLength, source.DType, tensor.Slice, tensor.Slice is null ? Shape.Scalar : source.Shape);
        return _first.TryAdd(part, index) ? tensor : tensor with { TiedTo = _first[part] };
    }
}
