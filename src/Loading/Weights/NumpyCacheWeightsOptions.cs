namespace IlgpuLoader.Loading;

/// <summary>What <see cref="NumpyCacheWeights"/> gives and where to. Immutable.</summary>
public sealed record NumpyCacheWeightsOptions : WeightsOptions
{
    /// <summary>The defaults: everything, into host memory.</summary>
    public static NumpyCacheWeightsOptions Default { get; } = new();

    /// <summary>Receives how far the making of the cache is, where there is none yet.</summary>
    public IProgress<LoadProgress>? MakingProgress { get; init; }
}
