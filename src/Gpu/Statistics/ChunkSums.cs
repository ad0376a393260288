namespace IlgpuLoader.Gpu;

/// <summary>What two passes over the values of a chunk add up to, on whatever device, before the last rounding is put right.</summary>
/// <param name="Count">How many values, all finite.</param>
/// <param name="Mean">What the second pass took from each value.</param>
/// <param name="Squares">The sum of the squares of what was left of them.</param>
/// <param name="Rest">The sum of what was left of them: zero, but for rounding.</param>
/// <param name="Minimum">The smallest value; a zero of either sign.</param>
/// <param name="Maximum">The largest value; a zero of either sign.</param>
/// <param name="Zeros">How many are zero.</param>
internal readonly record struct ChunkSums(int Count, double Mean, double Squares, double Rest, double Minimum, double Maximum, long Zeros)
{
    /// <summary>The moments of the chunk.</summary>
    public Moments ToMoments()
    {
        // What rounding left of the mean; it takes nothing away where the squares are too large to be represented.
        var correction = Rest / Count;
        return new Moments
        {
            Finite = Count,
            Zeros = Zeros,
            // Zero has no sign here: which of the two zeros a vector keeps is not defined.
            Minimum = Minimum + 0.0,
            Maximum = Maximum + 0.0,
            Mean = double.IsFinite(correction) ? Mean + correction : Mean,
            SquaredDeviations = double.IsFinite(Squares) ? Math.Max(0, Squares - (Rest * correction)) : double.PositiveInfinity,
        };
    }
}
