namespace IlgpuLoader.Perf.Gpu;

/// <summary>One figure: the median of several repeats, and what it is held against.</summary>
/// <param name="Group">The table it belongs to.</param>
/// <param name="Name">What was measured.</param>
/// <param name="Unit">The unit of the numbers.</param>
/// <param name="Median">The median; null where it was not measured, and <paramref name="Note"/> says why.</param>
/// <param name="Least">The least.</param>
/// <param name="Greatest">The greatest.</param>
/// <param name="Against">What the ratio is to.</param>
/// <param name="Ratio">This over that.</param>
/// <param name="Target">What the ratio should be at least.</param>
/// <param name="Note">Sizes and settings.</param>
internal sealed record FigureRow(
    string Group,
    string Name,
    string Unit,
    double? Median,
    double? Least,
    double? Greatest,
    string? Against = null,
    double? Ratio = null,
    double? Target = null,
    string? Note = null)
{
    public static FigureRow NotMeasured(string group, string name, string why) =>
        new(group, name, "", null, null, null, Note: $"not measured: {why}");
}
