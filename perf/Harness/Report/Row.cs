namespace IlgpuLoader.Harness;

/// <summary>One line of the report.</summary>
/// <param name="Scenario">What was measured.</param>
/// <param name="Figure">The figure with its unit: median, and in brackets the least and the greatest.</param>
/// <param name="Against">What it is held against, with its figure; empty where it stands alone.</param>
/// <param name="Ratio">The ratio of each pair: median, least, greatest; empty where it stands alone.</param>
/// <param name="Target">What is aimed at.</param>
internal sealed record Row(string Scenario, string Figure, string Against, string Ratio, string Target);
