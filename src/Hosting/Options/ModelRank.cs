using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Which tensor-parallel rank a hosted model is for.</summary>
internal static class ModelRank
{
    /// <summary>The rank that the options name; without one the only rank, or the one that the launcher says.</summary>
    /// <param name="options">The model's options.</param>
    /// <param name="lookup">Gives a variable of the environment; null for those of this process.</param>
    /// <exception cref="ArgumentException">There are several ranks, and neither options nor launcher say which; or they contradict each other.</exception>
    public static TensorParallel Of(HostedModelOptions options, Func<string, string?>? lookup = null) => options switch
    {
        { Rank: { } rank } => new TensorParallel(options.WorldSize, rank),
        { WorldSize: 1 } => new TensorParallel(1, 0),
        _ => RankInfo.From(new RankInfoOptions { WorldSize = options.WorldSize }, lookup).TensorParallel,
    };
}
