using System.Collections.Immutable;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Counts values in bins of equal width between the smallest and the largest. Bins of integers hold equally many integers
/// each, so that none looks fuller for its width alone.
/// </summary>
internal sealed class Histogram
{
    /// <summary>Fits a terminal together with its statistics.</summary>
    public const int DefaultBins = 20;

    /// <summary>More than any screen or picture shows, and few enough for every core to have its own counts.</summary>
    public const int MaximumBins = 1 << 16;

    private readonly StoredValue _minimum;
    private readonly StoredValue _maximum;
    private readonly bool _isInteger;
    private readonly Int128 _integersPerBin;
    private readonly double[] _edges;
    private readonly double _binsPerUnit;
    private readonly long[] _counts;

    /// <summary>Places the bins.</summary>
    /// <param name="minimum">The smallest finite value.</param>
    /// <param name="maximum">The largest finite value.</param>
    /// <param name="bins">The most bins.</param>
    public Histogram(StoredValue minimum, StoredValue maximum, int bins)
    {
        (_minimum, _maximum) = (minimum, maximum);
        _isInteger = minimum.DType.Kind is DTypeKind.Integer or DTypeKind.Boolean;
        _edges = [];
        if (_isInteger)
        {
            var range = ToInteger(maximum) - ToInteger(minimum);
            _integersPerBin = (range / bins) + 1;
            _counts = new long[(int)(range / _integersPerBin) + 1];
        }
        else if (minimum.Number == maximum.Number)
        {
            _edges = [minimum.Number, maximum.Number];
            _counts = new long[1];
        }
        else
        {
            _counts = new long[bins];
            // Halves first: the range of F64 values need not be a double.
            var halfWidth = ((maximum.Number / 2) - (minimum.Number / 2)) / bins;
            _edges = [.. Enumerable.Range(0, bins).Select(i => Math.Min(maximum.Number, minimum.Number + (i * halfWidth) + (i * halfWidth))), maximum.Number];
            _binsPerUnit = 0.5 / halfWidth;
        }
    }

    /// <summary>Counts of a worker's own.</summary>
    public long[] CreateCounts() => new long[_counts.Length];

    /// <summary>
    /// Counts stored values; those that are not finite are left out. A file that has changed since the ends were found may hold
    /// any value: those beyond go to the last bins, and that it has changed is said when it has been read.
    /// </summary>
    public void Count(long[] counts, ValueDecoder decoder, ReadOnlySpan<byte> stored, Memory<double> buffer)
    {
        if (decoder.IsWideInteger)
        {
            // One bin may hold all integers there are, more than a width of 64 bits can say.
            var first = ToInteger(_minimum);
            var width = _integersPerBin > ulong.MaxValue ? ulong.MaxValue : (ulong)_integersPerBin;
            var last = (ulong)counts.Length - 1;
            foreach (var bits in MemoryMarshal.Cast<byte, ulong>(stored))
            {
                // The difference of two 64-bit integers of one kind fits without sign.
                counts[(int)Math.Min(unchecked(bits - (ulong)first) / width, last)]++;
            }
        }
        else if (_isInteger)
        {
            var (first, width) = (_minimum.Number, (double)_integersPerBin);
            foreach (var value in decoder.DecodeDouble(stored, buffer.Span))
            {
                counts[(int)Math.Clamp(Math.Floor((value - first) / width), 0, counts.Length - 1)]++;
            }
        }
        else
        {
            foreach (var value in decoder.DecodeDouble(stored, buffer.Span))
            {
                if (double.IsFinite(value))
                {
                    counts[BinOf(value)]++;
                }
            }
        }
    }

    /// <summary>Adds a worker's counts.</summary>
    public void Add(long[] counts)
    {
        for (var i = 0; i < counts.Length; i++)
        {
            _counts[i] += counts[i];
        }
    }

    /// <summary>The bins in ascending order.</summary>
    public ImmutableArray<HistogramBin> ToBins() =>
        [.. _counts.Select((count, i) => new HistogramBin(LowerEnd(i), UpperEnd(i), count))];

    private StoredValue LowerEnd(int bin) =>
        _isInteger ? Integer(ToInteger(_minimum) + (bin * _integersPerBin))
        : bin == 0 ? _minimum
        : new StoredValue(DType.F64, _edges[bin]);

    private StoredValue UpperEnd(int bin) =>
        bin == _counts.Length - 1 ? _maximum
        : _isInteger ? Integer(ToInteger(_minimum) + ((bin + 1) * _integersPerBin) - 1)
        : new StoredValue(DType.F64, _edges[bin + 1]);

    private StoredValue Integer(Int128 value) => new(_minimum.DType, (double)value, _minimum.Exact is null ? null : value);

    // The estimate may be off by the rounding of a product; the edges that are shown decide.
    private int BinOf(double value)
    {
        var last = _counts.Length - 1;
        var estimate = (value - _minimum.Number) * _binsPerUnit;
        var bin = (int)Math.Clamp(estimate, 0, last);
        while (bin > 0 && value < _edges[bin])
        {
            bin--;
        }

        while (bin < last && value >= _edges[bin + 1])
        {
            bin++;
        }

        return bin;
    }

    private static Int128 ToInteger(StoredValue value) => value.Exact ?? (Int128)value.Number;
}
