namespace IlgpuLoader.Loading;

/// <summary>In which stretches of bytes a box is read: fewest bytes for their cost, in ascending order as far as dimensions do not overlap.</summary>
internal sealed class StridedOrder
{
    private readonly StridedDimension[] _dimensions;

    // Indexes of the dimensions, the smallest stride first: the first ones are within each stretch.
    private readonly int[] _byStride;
    private readonly int _within;
    private readonly long _span;

    // How many indexes of the first dimension that is not within a stretch are read in one.
    private readonly long _step = 1;

    /// <summary>Finds the order.</summary>
    /// <param name="dimensions">The box's dimensions, none of one index.</param>
    /// <param name="unit">The size of an element in bytes.</param>
    /// <param name="scratchBytes">The longest stretch, unless it is packed.</param>
    /// <param name="readCost">How many bytes between two indexes are too many to read with them.</param>
    public StridedOrder(StridedDimension[] dimensions, int unit, int scratchBytes, int readCost)
    {
        _dimensions = dimensions;
        _byStride = [.. Enumerable.Range(0, dimensions.Length).OrderBy(i => dimensions[i].Source)];
        _span = unit;
        if (dimensions.Length > 0 && Nth(0) is var dense && dense.Source == unit && dense.Destination == unit)
        {
            // Read to where it goes, however long it is.
            (_span, _within) = (dense.Size * unit, 1);
        }

        var packed = _within;
        for (; _within < dimensions.Length; _within++)
        {
            var (size, stride, _) = Nth(_within);
            if (stride - _span >= readCost)
            {
                break;
            }

            var room = Math.Max(0, scratchBytes - _span);
            if (stride > 0 && size - 1 > room / stride)
            {
                _step = 1 + (room / stride);
                break;
            }

            _span += (size - 1) * stride;
        }

        IsPacked = _within == packed && _step == 1;
    }

    /// <summary>A stretch of bytes that is read in one.</summary>
    /// <param name="Source">Where it begins, in bytes from the box's first element.</param>
    /// <param name="Destination">Where its first element goes.</param>
    /// <param name="ByteLength">Its size in bytes.</param>
    /// <param name="Indexes">The indexes of the first dimension that is not wholly within it.</param>
    public readonly record struct Stretch(long Source, long Destination, long ByteLength, long Indexes);

    /// <summary>Whether a stretch has just its elements, in their order.</summary>
    public bool IsPacked { get; }

    /// <summary>The stretches, which together have every element.</summary>
    public IEnumerable<Stretch> Stretches()
    {
        var index = new long[_dimensions.Length];
        while (true)
        {
            yield return StretchAt(index);
            var at = _within;
            for (; at < index.Length; at++)
            {
                index[at] += at == _within ? _step : 1;
                if (index[at] < Nth(at).Size)
                {
                    break;
                }

                index[at] = 0;
            }

            if (at >= index.Length)
            {
                yield break;
            }
        }
    }

    /// <summary>The dimensions of the copy out of a stretch, outermost of the destination first.</summary>
    /// <param name="stretch">The stretch.</param>
    /// <param name="dimensions">Receives them; those that the stretch has one index of have the size 1.</param>
    public void DimensionsOf(in Stretch stretch, StridedDimension[] dimensions)
    {
        for (var i = 0; i < _byStride.Length; i++)
        {
            var dimension = Nth(i);
            dimensions[_byStride[i]] = i < _within ? dimension : dimension with { Size = i == _within ? stretch.Indexes : 1 };
        }
    }

    private Stretch StretchAt(long[] index)
    {
        var (source, destination) = (0L, 0L);
        for (var i = _within; i < index.Length; i++)
        {
            source += index[i] * Nth(i).Source;
            destination += index[i] * Nth(i).Destination;
        }

        if (_within == index.Length)
        {
            return new Stretch(source, destination, _span, 1);
        }

        var indexes = Math.Min(_step, Nth(_within).Size - index[_within]);
        return new Stretch(source, destination, _span + ((indexes - 1) * Nth(_within).Source), indexes);
    }

    private StridedDimension Nth(int place) => _dimensions[_byStride[place]];
}
