namespace IlgpuLoader.Harness;

/// <summary>How long answers took, summed up. Percentiles are values that occurred (nearest rank): of a hundred answers the 99th is one of them, not a mean of two.</summary>
/// <param name="Count">How many there were.</param>
/// <param name="Median">The seconds within which half of them came.</param>
/// <param name="P99">The seconds within which 99 of a hundred came.</param>
/// <param name="Maximum">The longest.</param>
internal readonly record struct Latencies(int Count, double Median, double P99, double Maximum)
{
    /// <summary>Sums up seconds.</summary>
    /// <param name="seconds">At least one, in any order.</param>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static Latencies Of(IEnumerable<double> seconds)
    {
        var sorted = seconds.Order().ToArray();
        return sorted.Length == 0
            ? throw new ArgumentException("There was no answer.", nameof(seconds))
            : new Latencies(sorted.Length, Rank(sorted, 50), Rank(sorted, 99), sorted[^1]);
    }

    // Whole numbers: 0.99 * 100 is more than 99 in binary fractions, and its rank would be the 100th.
    private static double Rank(double[] sorted, int percent) => sorted[(int)((((long)sorted.Length * percent) + 99) / 100) - 1];
}
