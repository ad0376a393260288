using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>A measurement beside one that it is held against, in interleaved pairs. Immutable.</summary>
/// <param name="Name">What it is held against.</param>
/// <param name="Against">What kind of thing that is.</param>
/// <param name="Pairs">The pairs; empty where it was left out.</param>
public sealed record MeasuredComparison(string Name, MeasuredAgainst Against, ImmutableArray<MeasuredPair> Pairs)
{
    /// <summary>Why it was left out; null where it was measured.</summary>
    public string? Skipped { get; init; }

    /// <summary>The least ratio that is aimed at; null for none.</summary>
    public double? Target { get; init; }

    /// <summary>The ratio of each pair, summed up: 1 where both take the same, more where ours takes less. Null where it was left out.</summary>
    public MeasuredStatistic? Ratio => Pairs.IsEmpty ? null : MeasuredStatistic.Of(Pairs.Select(pair => pair.Ratio));

    /// <summary>What the other took, summed up. Null where it was left out.</summary>
    public MeasuredStatistic? Other => Pairs.IsEmpty ? null : MeasuredStatistic.Of(Pairs.Select(pair => pair.Other));

    /// <summary>One that was left out.</summary>
    /// <param name="name">What would have been held against it.</param>
    /// <param name="against">What kind of thing that is.</param>
    /// <param name="reason">Why it was left out.</param>
    public static MeasuredComparison LeftOut(string name, MeasuredAgainst against, string reason) => new(name, against, []) { Skipped = reason };
}
