namespace IlgpuLoader.Loading;

/// <summary>One rule of a <see cref="WeightNameMapper"/>: what a name has, and what takes its place.</summary>
/// <param name="From">The part of the name.</param>
/// <param name="To">What it becomes; null where the weight is left out.</param>
public readonly record struct NameRule(string From, string? To);
