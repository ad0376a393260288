namespace IlgpuLoader.Loading;

/// <summary>What a caller knows of its rank; what is null is looked for in the environment.</summary>
public sealed class RankInfoOptions
{
    /// <summary>The rank, from 0.</summary>
    public int? Rank { get; set; }

    /// <summary>The number of ranks.</summary>
    public int? WorldSize { get; set; }

    /// <summary>The rank among those of this machine, from 0.</summary>
    public int? LocalRank { get; set; }
}
