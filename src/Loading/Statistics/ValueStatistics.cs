namespace IlgpuLoader.Loading;

/// <summary>
/// Statistics of a tensor's values. NaN and infinities are counted, and left out of minimum, maximum, mean and standard
/// deviation, which are null where no value is left. The parts of complex numbers count as two values each. Immutable.
/// </summary>
public sealed record ValueStatistics
{
    /// <summary>All values: the elements, twice as many for complex types.</summary>
    public long Count => FiniteCount + NaNCount + PositiveInfinityCount + NegativeInfinityCount;

    /// <summary>Values that are neither NaN nor infinite.</summary>
    public long FiniteCount { get; internal init; }

    /// <summary>Values that are zero, of either sign.</summary>
    public long ZeroCount { get; internal init; }

    /// <summary>Values that are not numbers.</summary>
    public long NaNCount { get; internal init; }

    /// <summary>Values that are positive infinity.</summary>
    public long PositiveInfinityCount { get; internal init; }

    /// <summary>Values that are negative infinity.</summary>
    public long NegativeInfinityCount { get; internal init; }

    /// <summary>The smallest value; exact, also for 64-bit integers.</summary>
    public StoredValue? Minimum { get; internal init; }

    /// <summary>The largest value; exact, also for 64-bit integers.</summary>
    public StoredValue? Maximum { get; internal init; }

    /// <summary>The mean, computed in doubles.</summary>
    public double? Mean { get; internal init; }

    /// <summary>
    /// The standard deviation of the population (divided by the count, not by one less), computed in doubles; infinite where
    /// squares of F64 values are.
    /// </summary>
    public double? StandardDeviation { get; internal init; }

    internal static ValueStatistics From(TensorMoments all)
    {
        var (moments, decoder) = (all.Values, all.Decoder);
        var counts = new ValueStatistics
        {
            FiniteCount = moments.Finite,
            ZeroCount = moments.Zeros,
            NaNCount = moments.NaN,
            PositiveInfinityCount = moments.PositiveInfinities,
            NegativeInfinityCount = moments.NegativeInfinities,
        };
        if (moments.Finite == 0)
        {
            return counts;
        }

        // Of one value all over, mean and deviation are known exactly; a sum would round.
        var isConstant = moments.Minimum == moments.Maximum && !decoder.IsWideInteger;
        return counts with
        {
            Minimum = new StoredValue(decoder.ValueType, moments.Minimum, decoder.IsWideInteger ? all.MinimumInteger : null),
            Maximum = new StoredValue(decoder.ValueType, moments.Maximum, decoder.IsWideInteger ? all.MaximumInteger : null),
            Mean = isConstant ? moments.Minimum : Math.Clamp(moments.Mean, moments.Minimum, moments.Maximum),
            StandardDeviation = isConstant ? 0 : Math.Sqrt(moments.SquaredDeviations / moments.Finite),
        };
    }
}
