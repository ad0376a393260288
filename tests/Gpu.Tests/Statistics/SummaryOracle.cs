namespace IlgpuLoader.Gpu.Tests;

/// <summary>The moments of a chunk as they are defined, one value after the other: no vectors, no device.</summary>
internal static class SummaryOracle
{
    public static Moments Of(double[] chunk)
    {
        var finite = chunk.Where(double.IsFinite).ToArray();
        var moments = new Moments
        {
            NaN = chunk.Count(double.IsNaN),
            PositiveInfinities = chunk.Count(double.IsPositiveInfinity),
            NegativeInfinities = chunk.Count(double.IsNegativeInfinity),
        };
        if (finite.Length == 0)
        {
            return moments;
        }

        var sum = Add(finite);
        var mean = double.IsFinite(sum) ? sum / finite.Length : finite.Aggregate(0.0, (total, value) => total + (value / finite.Length));
        var rest = Add([.. finite.Select(value => value - mean)]);
        var squares = Add([.. finite.Select(value => (value - mean) * (value - mean))]);
        var correction = rest / finite.Length;
        return moments with
        {
            Finite = finite.Length,
            Zeros = finite.Count(value => value == 0),
            Minimum = finite.Min() + 0.0,
            Maximum = finite.Max() + 0.0,
            Mean = double.IsFinite(correction) ? mean + correction : mean,
            SquaredDeviations = double.IsFinite(squares) ? Math.Max(0, squares - (rest * correction)) : double.PositiveInfinity,
        };
    }

    /// <summary>The chunks of values.</summary>
    public static Moments[] OfChunks(double[] values) => [.. values.Chunk(Moments.ChunkLength).Select(Of)];

    /// <summary>Everything of some moments to the bit.</summary>
    public static string Text(Moments moments) =>
        FormattableString.Invariant($"{moments.Finite} {moments.Zeros} {moments.NaN} {moments.PositiveInfinities} {moments.NegativeInfinities} ")
        + string.Join(
            ' ',
            new[] { moments.Minimum, moments.Maximum, moments.Mean, moments.SquaredDeviations }
                .Select(value => $"{BitConverter.DoubleToInt64Bits(value):x16}"));

    // Thirty-two sums side by side, added to one another across 8, 16, 4, 2 and 1, and then what is left over.
    private static double Add(double[] values)
    {
        var sums = new double[32];
        var whole = values.Length / 32 * 32;
        for (var i = 0; i < whole; i++)
        {
            sums[i % 32] += values[i];
        }

        foreach (var across in new[] { 8, 16, 4, 2, 1 })
        {
            sums = [.. sums.Select((sum, i) => sum + sums[i ^ across])];
        }

        return values.Skip(whole).Aggregate(sums[0], (total, value) => total + value);
    }
}
