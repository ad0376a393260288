namespace IlgpuLoader.Loading;

/// <summary>What <see cref="SafetensorsWeights"/> gives and how. Immutable.</summary>
public sealed record SafetensorsWeightsOptions : WeightsOptions
{
    /// <summary>The defaults: lazy weights of everything.</summary>
    public static SafetensorsWeightsOptions Default { get; } = new();

    /// <summary>How the weights of a file are brought. Default: <see cref="LoadStrategy.Lazy"/>.</summary>
    public LoadStrategy Strategy { get; init; } = LoadStrategy.Lazy;
}
