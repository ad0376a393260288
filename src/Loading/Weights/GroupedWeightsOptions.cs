namespace IlgpuLoader.Loading;

/// <summary>What <see cref="GroupedWeights"/> gives and where to. Immutable.</summary>
public sealed record GroupedWeightsOptions : WeightsOptions
{
    /// <summary>The defaults: a world of one, into host memory.</summary>
    public static GroupedWeightsOptions Default { get; } = new();

    /// <summary>How many ranks there are, and so how many files a group has; at least 1.</summary>
    public int WorldSize { get; init; } = 1;
}
