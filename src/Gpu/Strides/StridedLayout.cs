using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Two strided views of one shape as nested loops over bytes: dimensions of one are dropped and neighbours that lie
/// side by side in both views are merged, so that the innermost run is as long as it can be.
/// </summary>
internal sealed class StridedLayout
{
    private readonly long[] _sizes;
    private readonly long[] _sourceStrides;
    private readonly long[] _destinationStrides;

    private StridedLayout(List<Dimension> dimensions, long sourceUnit, long destinationUnit)
    {
        _sizes = [.. dimensions.Select(dimension => dimension.Size)];
        _sourceStrides = [.. dimensions.Select(dimension => dimension.Source)];
        _destinationStrides = [.. dimensions.Select(dimension => dimension.Destination)];
        SourceUnitBytes = sourceUnit;
        DestinationUnitBytes = destinationUnit;
    }

    /// <summary>One of the nested loops.</summary>
    /// <param name="Size">How many units or runs.</param>
    /// <param name="Source">From one to the next in the source, in bytes.</param>
    /// <param name="Destination">From one to the next in the destination, in bytes.</param>
    public readonly record struct Dimension(long Size, long Source, long Destination);

    /// <summary>Calls back for each innermost run.</summary>
    /// <param name="source">The run's first byte, from the start of the source view.</param>
    /// <param name="destination">The run's first byte, from the start of the destination view.</param>
    public delegate void RunAction(long source, long destination);

    /// <summary>The bytes of one unit of the source: an element, a block, or a byte of contiguous sub-byte elements.</summary>
    public long SourceUnitBytes { get; }

    /// <summary>The bytes of one unit of the destination.</summary>
    public long DestinationUnitBytes { get; }

    /// <summary>The units of one innermost run.</summary>
    public long RunUnits => _sizes.Length == 0 ? 1 : _sizes[^1];

    /// <summary>From one unit of a run to the next in the source, in bytes.</summary>
    public long SourceStride => _sizes.Length == 0 ? SourceUnitBytes : _sourceStrides[^1];

    /// <summary>From one unit of a run to the next in the destination, in bytes.</summary>
    public long DestinationStride => _sizes.Length == 0 ? DestinationUnitBytes : _destinationStrides[^1];

    /// <summary>Whether there is nothing to visit.</summary>
    public bool IsEmpty => _sizes.AsSpan().Contains(0);

    /// <summary>The loops, outermost first; none where there is one unit.</summary>
    public IEnumerable<Dimension> Dimensions =>
        _sizes.Select((size, i) => new Dimension(size, _sourceStrides[i], _destinationStrides[i]));

    /// <summary>Lays two views of one element count over each other, for copying or converting.</summary>
    /// <remarks>
    /// Where only the source groups its elements (F4, F6, blocks), a unit of the destination is as many elements, at their own
    /// stride; the source's rows are then whole groups.
    /// </remarks>
    public static StridedLayout Create(in StridedView source, in StridedView destination)
    {
        // Rows of sub-byte elements may end inside a byte; where both views are contiguous they are plain bytes.
        var asBytes = source.DType.IsSubByte && source.IsContiguous && destination.IsContiguous;
        asBytes &= source.DType == destination.DType;
        var group = source.DType == destination.DType ? 1 : source.DType.BlockLength;
        var sourceDimensions = InBytes(source, asBytes, 1, out var sourceUnit);
        var destinationDimensions = InBytes(destination, asBytes, group, out var destinationUnit);
        if (sourceDimensions.Length != destinationDimensions.Length)
        {
            // One element each, with different numbers of dimensions of one.
            sourceDimensions = [.. sourceDimensions.Where(dimension => dimension.Size != 1)];
            destinationDimensions = [.. destinationDimensions.Where(dimension => dimension.Size != 1)];
        }

        var merged = new List<Dimension>();
        for (var i = 0; i < sourceDimensions.Length; i++)
        {
            var (size, from) = sourceDimensions[i];
            var to = destinationDimensions[i].Stride;
            if (size == 1)
            {
                continue;
            }

            if (merged.Count > 0 && merged[^1].Source == from * size && merged[^1].Destination == to * size)
            {
                merged[^1] = new Dimension(merged[^1].Size * size, from, to);
            }
            else
            {
                merged.Add(new Dimension(size, from, to));
            }
        }

        return new StridedLayout(merged, sourceUnit, destinationUnit);
    }

    /// <summary>Visits the innermost runs in row-major order.</summary>
    public void ForEachRun(RunAction action)
    {
        if (IsEmpty)
        {
            return;
        }

        var outer = Math.Max(0, _sizes.Length - 1);
        var index = new long[outer];
        long source = 0;
        long destination = 0;
        while (true)
        {
            action(source, destination);
            var dimension = outer - 1;
            for (; dimension >= 0; dimension--)
            {
                source += _sourceStrides[dimension];
                destination += _destinationStrides[dimension];
                if (++index[dimension] < _sizes[dimension])
                {
                    break;
                }

                source -= _sourceStrides[dimension] * _sizes[dimension];
                destination -= _destinationStrides[dimension] * _sizes[dimension];
                index[dimension] = 0;
            }

            if (dimension < 0)
            {
                return;
            }
        }
    }

    private static (long Size, long Stride)[] InBytes(in StridedView view, bool asBytes, int group, out long unitBytes)
    {
        var dtype = view.DType;
        if (asBytes)
        {
            unitBytes = 1;
            return [(dtype.ByteCount(view.Shape.ElementCount), 1)];
        }

        unitBytes = (long)dtype.BlockSize * group;
        var dimensions = new (long, long)[view.Shape.Rank];
        for (var i = 0; i < dimensions.Length; i++)
        {
            var last = i == dimensions.Length - 1;
            // Sub-byte strides count elements, and a tensor only makes views whose rows are whole groups of them.
            var stride = dtype.IsSubByte && !last ? view.Strides[i] / dtype.BlockLength : view.Strides[i];
            dimensions[i] = last
                ? (view.Shape[i] / dtype.BlockLength / group, stride * dtype.BlockSize * group)
                : (view.Shape[i], stride * dtype.BlockSize);
        }

        return dimensions;
    }
}
