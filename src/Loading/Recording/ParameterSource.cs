namespace IlgpuLoader.Loading;

/// <summary>A weight that goes into a parameter.</summary>
/// <param name="Weight">Its name in the checkpoint.</param>
/// <param name="Shard">Which part of the parameter it is.</param>
/// <param name="ElementCount">How many elements its loader writes that were not written before; 0 where it writes none on this rank.</param>
public sealed record ParameterSource(string Weight, ShardId Shard, long ElementCount)
{
    /// <summary>Whether the number of elements is known: not of a loader that looks at values before it writes, which is trusted.</summary>
    public bool IsCounted { get; init; } = true;
}
