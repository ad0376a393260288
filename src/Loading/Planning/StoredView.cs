using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Elements of a stored tensor as strides see them, and how they are read: in the order in which they are stored, as ranges of bytes at one distance from each other
/// wherever strides allow it. Immutable.
/// </summary>
/// <remarks>
/// Read so, a view that is transposed lies transposed back in memory (<see cref="LoadedStrides"/> tells how to see it): moving elements is the device's work. Strides and
/// offsets count elements as they are decoded, also of block types.
/// </remarks>
internal sealed class StoredView
{
    private readonly TensorInfo _info;
    private readonly ImmutableArray<long> _sizes;
    private readonly ImmutableArray<long> _strides;
    private readonly long _offset;

    // Dimensions from the widest stride to the narrowest, without those that have one index or whose elements are one.
    private readonly ImmutableArray<int> _order;

    /// <summary>Makes a view.</summary>
    /// <param name="info">The stored tensor.</param>
    /// <param name="sizes">The dimensions.</param>
    /// <param name="strides">One stride a dimension, in elements.</param>
    /// <param name="offset">The first element, counted from the start of the storage.</param>
    public StoredView(TensorInfo info, ImmutableArray<long> sizes, ImmutableArray<long> strides, long offset)
    {
        (_info, _sizes, _strides, _offset) = (info, sizes, strides, offset);
        _order = [.. Enumerable.Range(0, sizes.Length).Where(i => sizes[i] != 1 && strides[i] != 0).OrderByDescending(i => strides[i]).ThenBy(i => i)];
        LoadedElements = _order.Aggregate(1L, (count, dimension) => checked(count * sizes[dimension]));
        var loaded = new long[sizes.Length];
        long stride = 1;
        foreach (var dimension in _order.Reverse())
        {
            loaded[dimension] = stride;
            stride *= sizes[dimension];
        }

        LoadedStrides = [.. loaded];
    }

    /// <summary>The number of elements that are read: those that the strides of several indices name count once.</summary>
    public long LoadedElements { get; }

    /// <summary>The strides, in elements, that see the elements as the view does once they lie side by side in the order in which they are stored.</summary>
    public ImmutableArray<long> LoadedStrides { get; }

    /// <summary>The dimensions from the outermost of what is read to the innermost.</summary>
    public ImmutableArray<int> Order => _order;

    /// <summary>Whether there are no elements.</summary>
    public bool IsEmpty => _sizes.Contains(0);

    /// <summary>Whether the last dimension is the innermost one that is stored, element by element.</summary>
    public bool KeepsLastDimension => _sizes.Length == 0 || _sizes[^1] == 1 || (_strides[^1] == 1 && _order[^1] == _sizes.Length - 1);

    /// <summary>What says that a view cannot be loaded.</summary>
    /// <param name="problem">Why, as a clause, and what to do.</param>
    public UnsupportedCheckpointException Refuse(string problem) =>
        new($"such views of {_info.DType.Name}", _info.File.Path, $"{problem}.", _info.File.Format, _info.Name);

    /// <summary>The size of a dimension.</summary>
    public long SizeOf(int dimension) => _sizes[dimension];

    /// <summary>A part of one dimension.</summary>
    public StoredView Narrow(int dimension, long start, long length) =>
        new(_info, _sizes.SetItem(dimension, length), _strides, checked(_offset + (start * _strides[dimension])));

    /// <summary>What is read: tensors to load, each as one row-major box, and the first element of each counted in the order in which they are stored.</summary>
    /// <param name="target">The dtype that elements are loaded as.</param>
    /// <exception cref="UnsupportedCheckpointException">The elements are stored together with others, and cannot be parted from them so.</exception>
    public IEnumerable<(PlannedTensor Piece, long FirstElement)> Pieces(DType target)
    {
        if (IsEmpty)
        {
            return [];
        }

        // Neighbours that follow each other without a gap are one dimension.
        var merged = new List<(long Size, long Stride)>();
        foreach (var dimension in _order)
        {
            var (size, stride) = (_sizes[dimension], _strides[dimension]);
            if (merged.Count > 0 && merged[^1].Stride == checked(stride * size))
            {
                merged[^1] = (merged[^1].Size * size, stride);
            }
            else
            {
                merged.Add((size, stride));
            }
        }

        if (merged.Count == 0 || merged[^1].Stride != 1)
        {
            if (merged.Count > 0 && _info.DType.BlockLength == 1)
            {
                return [(Gathered(target), 0)];
            }

            merged.Add((1, 1));
        }

        return Ranges(merged, 0, _offset, target, 0);
    }

    private IEnumerable<(PlannedTensor Piece, long FirstElement)> Ranges(
        List<(long Size, long Stride)> merged, int outer, long offset, DType target, long done)
    {
        var (rows, stride) = merged.Count - outer == 1 ? (1, long.MaxValue) : merged[outer];
        var length = merged[^1].Size;
        if (merged.Count - outer <= 2 && (rows == 1 || IsWithinRows(offset, rows, stride, length)))
        {
            yield return (rows == 1 ? Range(offset, length, target) : Rows(offset, rows, stride, length, target), done);
            yield break;
        }

        var inside = merged.Skip(outer + 1).Aggregate(1L, (count, dimension) => count * dimension.Size);
        for (long i = 0; i < rows; i++)
        {
            foreach (var piece in Ranges(merged, outer + 1, checked(offset + (i * stride)), target, done + (i * inside)))
            {
                yield return piece;
            }
        }
    }

    // Whether ranges at a distance are parts of whole rows that lie in the storage: those of a view that is narrowed are, strides of other making need not be.
    private bool IsWithinRows(long offset, long rows, long stride, long length)
    {
        var column = offset % stride;
        return column + length <= stride
            && _info.DType.FillsBytes(stride)
            && offset - column + (rows * stride) <= (_info.IsWholeStorage ? _info.ElementCount : _info.ByteLength / _info.DType.BlockSize * _info.DType.BlockLength);
    }

    private PlannedTensor Range(long offset, long length, DType target)
    {
        var group = _info.DType.BlockLength;
        var first = offset / group * group;
        var end = (offset + length + group - 1) / group * group;
        var source = Part(first, new Shape(end - first));
        var piece = new PlannedTensor(source, target, new Shape(length));
        return end - first == length ? piece : Sliced(piece, new TensorSlice(0, offset - first, length));
    }

    private PlannedTensor Rows(long offset, long rows, long stride, long length, DType target)
    {
        var column = offset % stride;
        return Sliced(new PlannedTensor(Part(offset - column, new Shape(rows, stride)), target, new Shape(rows, length)), new TensorSlice(1, column, length));
    }

    // A part of a group of elements is refused here, where it is known what it is of.
    private static PlannedTensor Sliced(PlannedTensor piece, TensorSlice slice)
    {
        _ = SliceSegments.Of(piece.Source, slice, isDecoded: piece.DType != piece.Source.DType);
        return piece with { Slice = slice };
    }

    private TensorInfo Part(long firstElement, Shape shape) =>
        new(_info.Name, _info.DType, shape, _info.File, checked(_info.Offset + _info.DType.ByteCount(firstElement)), _info.DType.ByteCount(shape.ElementCount));

    // Elements that lie apart one by one.
    private PlannedTensor Gathered(DType target)
    {
        var shape = new Shape([.. _order.Select(dimension => _sizes[dimension])]);
        var source = new TensorInfo(_info.Name, _info.DType, shape, _info.File, _info.Offset, _info.ByteLength)
        {
            Strides = [.. _order.Select(dimension => _strides[dimension])],
            StorageOffset = _offset,
        };
        return new PlannedTensor(source, target, shape);
    }
}
