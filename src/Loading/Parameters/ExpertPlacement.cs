using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Which experts of a mixture are on this rank, and where: expert-parallel ranks share them, others have all. Immutable.</summary>
public sealed class ExpertPlacement
{
    private readonly ImmutableArray<int> _localOf;

    /// <summary>Places experts by a map.</summary>
    /// <param name="localOf">For each expert its place on this rank, from 0 and without gaps; -1 for one that is on another rank.</param>
    /// <exception cref="ArgumentException">Places are missing, taken twice or negative other than -1; the message has the expert.</exception>
    public ExpertPlacement(params ReadOnlySpan<int> localOf)
    {
        _localOf = [.. localOf];
        var local = _localOf.Count(place => place >= 0);
        var taken = new bool[local];
        for (var expert = 0; expert < _localOf.Length; expert++)
        {
            var place = _localOf[expert];
            if (place < -1 || place >= local || (place >= 0 && taken[place]))
            {
                throw new ArgumentException(
                    $"Expert {expert} has place {place}; the places of {local} experts on this rank are 0 to {local - 1}, each once, "
                    + "and -1 means another rank.",
                    nameof(localOf));
            }

            if (place >= 0)
            {
                taken[place] = true;
            }
        }

        LocalExperts = [.. Enumerable.Range(0, _localOf.Length).Where(expert => _localOf[expert] >= 0).OrderBy(expert => _localOf[expert])];
    }

    /// <summary>The experts over all ranks.</summary>
    public int Count => _localOf.Length;

    /// <summary>The experts on this rank, in the order of their places.</summary>
    public ImmutableArray<int> LocalExperts { get; }

    /// <summary>Where all experts are on this rank.</summary>
    /// <param name="experts">How many there are (<c>num_local_experts</c>, <c>num_experts</c>).</param>
    public static ExpertPlacement All(int experts) => Contiguous(experts, 1, 0);

    /// <summary>Each rank has neighbouring experts, as many as any other or one more on the first ranks (vLLM's linear strategy).</summary>
    /// <param name="experts">How many experts there are.</param>
    /// <param name="worldSize">The number of expert-parallel ranks.</param>
    /// <param name="rank">This rank.</param>
    /// <exception cref="ArgumentException">There is no such rank.</exception>
    public static ExpertPlacement Contiguous(int experts, int worldSize, int rank)
    {
        Check(experts, worldSize, rank);
        var (each, more) = Math.DivRem(experts, worldSize);
        var start = (rank * each) + Math.Min(rank, more);
        var count = each + (rank < more ? 1 : 0);
        return Of(experts, expert => expert >= start && expert - start < count ? expert - start : -1);
    }

    /// <summary>The ranks take turns: rank 1 of 4 has experts 1, 5, 9 and so on (vLLM's round-robin strategy).</summary>
    /// <inheritdoc cref="Contiguous"/>
    public static ExpertPlacement RoundRobin(int experts, int worldSize, int rank)
    {
        Check(experts, worldSize, rank);
        return Of(experts, expert => expert % worldSize == rank ? expert / worldSize : -1);
    }

    /// <summary>Where an expert is on this rank; null where it is on another.</summary>
    /// <param name="expert">The expert, counted over all ranks.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such expert.</exception>
    public int? LocalOf(int expert)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expert);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(expert, Count);
        return _localOf[expert] is >= 0 and var local ? local : null;
    }

    private static ExpertPlacement Of(int experts, Func<int, int> localOf) => new([.. Enumerable.Range(0, experts).Select(localOf)]);

    private static void Check(int experts, int worldSize, int rank)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(experts);
        new TensorParallel(worldSize, rank).Validate(nameof(rank));
    }
}
