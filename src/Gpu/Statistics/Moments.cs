namespace IlgpuLoader.Gpu;

/// <summary>
/// Counts, extremes, mean and the sum of squared deviations of some values, which two of them merge into one. NaN and
/// infinities are counted apart. Immutable.
/// </summary>
public readonly record struct Moments
{
    /// <summary>
    /// The values that are summed up at a time before they are merged: 32 KiB as doubles, which a processor's first cache holds,
    /// and a multiple of every block's length. What a sum rounds to depends on it, so that it is the same on every device.
    /// </summary>
    public const int ChunkLength = 4096;

    /// <summary>The moments of no value.</summary>
    public Moments()
    {
    }

    /// <summary>Values that are neither NaN nor infinite.</summary>
    public long Finite { get; init; }

    /// <summary>Zeros of either sign.</summary>
    public long Zeros { get; init; }

    /// <summary>Values that are not numbers.</summary>
    public long NaN { get; init; }

    /// <summary>Positive infinities.</summary>
    public long PositiveInfinities { get; init; }

    /// <summary>Negative infinities.</summary>
    public long NegativeInfinities { get; init; }

    /// <summary>The smallest finite value; positive infinity where there is none.</summary>
    public double Minimum { get; init; } = double.PositiveInfinity;

    /// <summary>The largest finite value; negative infinity where there is none.</summary>
    public double Maximum { get; init; } = double.NegativeInfinity;

    /// <summary>The mean of the finite values.</summary>
    public double Mean { get; init; }

    /// <summary>The sum of the squared deviations from the mean.</summary>
    public double SquaredDeviations { get; init; }

    /// <summary>All values, finite or not.</summary>
    public long Count => Finite + NaN + PositiveInfinities + NegativeInfinities;

    /// <summary>How many chunks some values have: whole ones, and what is left over.</summary>
    public static long CountChunks(long values) => (values / ChunkLength) + (values % ChunkLength == 0 ? 0 : 1);

    /// <summary>Merges the values that follow, by the pairwise update of Chan, Golub and LeVeque (1979).</summary>
    public Moments With(in Moments next)
    {
        var finite = Finite + next.Finite;
        var (mean, squares) = (Mean, SquaredDeviations);
        if (next.Finite > 0)
        {
            var difference = next.Mean - Mean;
            var (share, nextShare) = ((double)Finite / finite, (double)next.Finite / finite);
            squares = Finite == 0
                ? next.SquaredDeviations
                : SquaredDeviations + next.SquaredDeviations + (difference * difference * share * next.Finite);
            // Means of opposite signs near the end of the range: their difference is not a double, their shares are.
            mean = double.IsFinite(difference) ? Mean + (difference * nextShare) : (Mean * share) + (next.Mean * nextShare);
        }

        return new Moments
        {
            Finite = finite,
            Zeros = Zeros + next.Zeros,
            NaN = NaN + next.NaN,
            PositiveInfinities = PositiveInfinities + next.PositiveInfinities,
            NegativeInfinities = NegativeInfinities + next.NegativeInfinities,
            Minimum = Math.Min(Minimum, next.Minimum),
            Maximum = Math.Max(Maximum, next.Maximum),
            Mean = mean,
            SquaredDeviations = squares,
        };
    }
}
