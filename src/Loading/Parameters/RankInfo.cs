namespace IlgpuLoader.Loading;

/// <summary>Which of several processes this one is. Immutable.</summary>
public sealed record RankInfo
{
    private RankInfo(int rank, int worldSize, int? localRank, int? localWorldSize, int? node, string source) =>
        (Rank, WorldSize, LocalRank, LocalWorldSize, Node, Source) = (rank, worldSize, localRank, localWorldSize, node, source);

    /// <summary>The only process.</summary>
    public static RankInfo Only { get; } = new(0, 1, null, null, null, "a single process");

    /// <summary>The rank, from 0.</summary>
    public int Rank { get; }

    /// <summary>The number of ranks.</summary>
    public int WorldSize { get; }

    /// <summary>The rank among those of this machine, from 0: which device is this process's. Null where that is not known.</summary>
    public int? LocalRank { get; }

    /// <summary>The number of ranks on this machine; null where that is not known.</summary>
    public int? LocalWorldSize { get; }

    /// <summary>The machine among those of the job, from 0; null where that is not known.</summary>
    public int? Node { get; }

    /// <summary>Where this is known from, such as <c>torchrun</c>.</summary>
    public string Source { get; }

    /// <summary>A tensor-parallel group of all ranks.</summary>
    public TensorParallel TensorParallel => new(WorldSize, Rank);

    /// <summary>Takes the rank from the options, and from the environment what they do not say.</summary>
    /// <remarks>
    /// <para>
    /// Where the options have both rank and number of ranks, the environment is not looked at. Else the first of these launchers counts that has set its rank, the one that a process was started by before those that
    /// it may have been started in: torchrun (<c>RANK</c>, <c>WORLD_SIZE</c>, <c>LOCAL_RANK</c>, <c>LOCAL_WORLD_SIZE</c>, <c>GROUP_RANK</c>), Open MPI (<c>OMPI_COMM_WORLD_RANK</c>, <c>_SIZE</c>, <c>_LOCAL_RANK</c>,
    /// <c>_LOCAL_SIZE</c>), SLURM (<c>SLURM_PROCID</c>, <c>SLURM_NTASKS</c>, <c>SLURM_LOCALID</c>, <c>SLURM_NODEID</c>), an indexed job of Kubernetes (<c>JOB_COMPLETION_INDEX</c>, and <c>WORLD_SIZE</c>, which
    /// Kubernetes does not set: the job's manifest or the options do). Without any, this is the only process.
    /// </para>
    /// <para>
    /// What is set in half is refused, and so is an option that contradicts the environment: a rank that is guessed wrong loads another's shards. An empty variable counts as not set.
    /// </para>
    /// </remarks>
    /// <param name="options">What the caller knows; null for nothing.</param>
    /// <param name="lookup">Gives a variable's value or null; null for the variables of this process.</param>
    /// <exception cref="ArgumentException">A variable is missing or no number, numbers contradict each other, or there is no such rank; the message has the variables and their values.</exception>
    public static RankInfo From(RankInfoOptions? options = null, Func<string, string?>? lookup = null)
    {
        var given = options ?? new RankInfoOptions();
        if (given is { Rank: { } rank, WorldSize: { } worldSize })
        {
            return Make(new RankNumber(rank, "the rank"), new RankNumber(worldSize, "the number of ranks"), Option(given.LocalRank), null, null, "options");
        }

        var environment = new RankEnvironment(lookup ?? Environment.GetEnvironmentVariable);
        if (environment.FindLauncher() is not { } launcher)
        {
            return given switch
            {
                { Rank: null, WorldSize: null or 1, LocalRank: null or 0 } => Only,
                { Rank: { } alone } => throw new ArgumentException($"The rank is {alone}, but the number of ranks is not given, nor set by {RankLauncher.Names}.", nameof(options)),
                { WorldSize: { } world } => throw new ArgumentException($"The number of ranks is {world}, but the rank is not given, nor set by {RankLauncher.Names}.", nameof(options)),
                _ => throw new ArgumentException($"The local rank is {given.LocalRank}, but rank and number of ranks are not given, nor set by {RankLauncher.Names}.", nameof(options)),
            };
        }

        return Make(
            Agree(given.Rank, environment.Find(launcher.Rank), "rank") ?? throw environment.HalfSet(launcher, launcher.Rank),
            Agree(given.WorldSize, environment.Find(launcher.WorldSize), "number of ranks") ?? throw environment.HalfSet(launcher, launcher.WorldSize),
            Option(given.LocalRank) ?? environment.Find(launcher.LocalRank),
            environment.Find(launcher.LocalWorldSize),
            environment.Find(launcher.Node),
            launcher.Name);
    }

    private static RankNumber? Option(int? localRank) => localRank is { } number ? new RankNumber(number, "the local rank") : null;

    private static RankNumber? Agree(int? option, RankNumber? variable, string what) =>
        option is { } given && variable is { } set && set.Value != given
            ? throw new ArgumentException($"The {what} is given as {given}, but {set}; give both rank and number of ranks to go by them alone.", nameof(option))
            : variable ?? (option is { } alone ? new RankNumber(alone, $"the {what}") : null);

    private static RankInfo Make(RankNumber rank, RankNumber worldSize, RankNumber? localRank, RankNumber? localWorldSize, RankNumber? node, string source)
    {
        if (worldSize.Value < 1)
        {
            throw new ArgumentException($"There is at least one rank, but {worldSize}.", nameof(worldSize));
        }

        CheckBelow(rank, worldSize);
        if (localRank is { } local)
        {
            CheckBelow(local, localWorldSize ?? worldSize);
        }

        if (localWorldSize is { } onMachine && (onMachine.Value < 1 || onMachine.Value > worldSize.Value))
        {
            throw new ArgumentException($"The ranks of a machine are among all, but {onMachine} and {worldSize}.", nameof(localWorldSize));
        }

        return new RankInfo(rank.Value, worldSize.Value, localRank?.Value, localWorldSize?.Value, node?.Value, source);
    }

    private static void CheckBelow(RankNumber rank, RankNumber worldSize)
    {
        if (rank.Value < 0 || rank.Value >= worldSize.Value)
        {
            throw new ArgumentException($"Ranks are counted from 0 to below their number, but {rank} and {worldSize}.", nameof(rank));
        }
    }
}
