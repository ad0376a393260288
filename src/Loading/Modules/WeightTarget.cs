namespace IlgpuLoader.Loading;

/// <summary>Where a weight goes: a parameter, and which part of it.</summary>
/// <param name="Parameter">The parameter.</param>
/// <param name="Shard">Which part of it the weight is.</param>
public readonly record struct WeightTarget(Parameter Parameter, ShardId Shard = default);
