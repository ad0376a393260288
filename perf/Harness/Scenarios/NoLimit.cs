using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Rows that are held against no limit say why.</summary>
internal static class NoLimit
{
    /// <summary>Puts a reason where the limit would be.</summary>
    public static Measurement Because(this Measurement row, string reason) =>
        row with { Comparisons = row.Comparisons.Add(MeasuredComparison.LeftOut("none", MeasuredAgainst.Limit, reason)) };
}
