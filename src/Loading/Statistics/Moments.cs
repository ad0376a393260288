namespace IlgpuLoader.Loading;

/// <summary>
/// Counts, extremes, mean and the sum of squared deviations of some values, which two of them merge into one. NaN and
/// infinities are counted apart.
/// </summary>
internal struct Moments()
{
    /// <summary>Values that are neither NaN nor infinite.</summary>
    public long Finite;

    /// <summary>Zeros of either sign.</summary>
    public long Zeros;

    /// <summary>Values that are not numbers.</summary>
    public long NaN;

    /// <summary>Positive infinities.</summary>
    public long PositiveInfinities;

    /// <summary>Negative infinities.</summary>
    public long NegativeInfinities;

    /// <summary>The smallest finite value; positive infinity where there is none.</summary>
    public double Minimum = double.PositiveInfinity;

    /// <summary>The largest finite value; negative infinity where there is none.</summary>
    public double Maximum = double.NegativeInfinity;

    /// <summary>The mean of the finite values.</summary>
    public double Mean;

    /// <summary>The sum of the squared deviations from the mean.</summary>
    public double SquaredDeviations;

    /// <summary>The exact extremes of 64-bit integers.</summary>
    public Int128 MinimumInteger = Int128.MaxValue;

    /// <inheritdoc cref="MinimumInteger"/>
    public Int128 MaximumInteger = Int128.MinValue;

    /// <summary>Merges the values that follow, by the pairwise update of Chan, Golub and LeVeque (1979).</summary>
    public void Add(in Moments next)
    {
        var finite = Finite + next.Finite;
        if (next.Finite > 0)
        {
            var difference = next.Mean - Mean;
            var (share, nextShare) = ((double)Finite / finite, (double)next.Finite / finite);
            SquaredDeviations = Finite == 0
                ? next.SquaredDeviations
                : SquaredDeviations + next.SquaredDeviations + (difference * difference * share * next.Finite);
            // Means of opposite signs near the end of the range: their difference is not a double, their shares are.
            Mean = double.IsFinite(difference) ? Mean + (difference * nextShare) : (Mean * share) + (next.Mean * nextShare);
        }

        Finite = finite;
        Zeros += next.Zeros;
        NaN += next.NaN;
        PositiveInfinities += next.PositiveInfinities;
        NegativeInfinities += next.NegativeInfinities;
        Minimum = Math.Min(Minimum, next.Minimum);
        Maximum = Math.Max(Maximum, next.Maximum);
        MinimumInteger = Int128.Min(MinimumInteger, next.MinimumInteger);
        MaximumInteger = Int128.Max(MaximumInteger, next.MaximumInteger);
    }
}
