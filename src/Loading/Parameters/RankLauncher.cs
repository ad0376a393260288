using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What starts processes and tells each which it is, by variables of its environment.</summary>
/// <param name="Name">Its name, for messages.</param>
/// <param name="Rank">The variable of the rank.</param>
/// <param name="WorldSize">The variable of the number of ranks.</param>
/// <param name="LocalRank">The variable of the rank on this machine; null for none.</param>
/// <param name="LocalWorldSize">The variable of the number of ranks on this machine; null for none.</param>
/// <param name="Node">The variable of the machine; null for none.</param>
internal sealed record RankLauncher(string Name, string Rank, string WorldSize, string? LocalRank = null, string? LocalWorldSize = null, string? Node = null)
{
    // Kubernetes knows of no number of ranks; what the manifest sets goes by torchrun's name.
    private const string SharedWorldSize = "WORLD_SIZE";

    /// <summary>All, in the order in which they count.</summary>
    public static ImmutableArray<RankLauncher> All { get; } =
    [
        new("torchrun", "RANK", SharedWorldSize, "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK"),
        // Its NODE_RANK counts processes of a machine, and not machines.
        new("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        new("SLURM", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", Node: "SLURM_NODEID"),
        new("an indexed job of Kubernetes", "JOB_COMPLETION_INDEX", SharedWorldSize),
    ];

    /// <summary>All names, for messages.</summary>
    public static string Names { get; } = $"{string.Join(", ", All.SkipLast(1).Select(launcher => launcher.Name))} or {All[^1].Name}";
}
