using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// The features of a linear layer and what a tensor-parallel rank has of them: a share of the outputs of each packed part (column-parallel), a share of the inputs (row-parallel), or
/// all. Immutable.
/// </summary>
public sealed record LinearLayout
{
    /// <summary>Lays a layer out.</summary>
    /// <param name="inputSize">The input features over all ranks.</param>
    /// <param name="parts">The packed parts in the order of their outputs, at least one.</param>
    /// <param name="parallel">The ranks; null for one.</param>
    /// <param name="splitsInputs">Whether ranks share the inputs and not the outputs.</param>
    /// <exception cref="ArgumentException">Features cannot be split evenly over the ranks; the message has the numbers.</exception>
    public LinearLayout(long inputSize, ImmutableArray<PackedPart> parts, TensorParallel? parallel = null, bool splitsInputs = false)
    {
        parallel ??= new TensorParallel(1, 0);
        parallel.Validate(nameof(parallel));
        (InputSize, Parts, Parallel, SplitsInputs) = (inputSize, parts, parallel, splitsInputs);
        if (splitsInputs && inputSize % parallel.WorldSize != 0)
        {
            throw new ArgumentException($"{inputSize} input features cannot be split evenly over {parallel.WorldSize} ranks.", nameof(inputSize));
        }

        foreach (var part in parts)
        {
            if (parallel.WorldSize % part.Replicas != 0 || (!splitsInputs && part.Size % (parallel.WorldSize / part.Replicas) != 0))
            {
                throw new ArgumentException(
                    $"{part.Size} output features{(part.Id is null ? "" : $" of {part.Id}")} cannot be split evenly over {parallel.WorldSize / part.Replicas} ranks.",
                    nameof(parts));
            }
        }
    }

    /// <summary>The input features over all ranks.</summary>
    public long InputSize { get; }

    /// <summary>The packed parts in the order of their outputs.</summary>
    public ImmutableArray<PackedPart> Parts { get; }

    /// <summary>The ranks.</summary>
    public TensorParallel Parallel { get; }

    /// <summary>Whether ranks share the inputs and not the outputs.</summary>
    public bool SplitsInputs { get; }

    /// <summary>The input features of this rank.</summary>
    public long InputSizePerRank => SplitsInputs ? InputSize / Parallel.WorldSize : InputSize;

    /// <summary>The output features of this rank, all parts together.</summary>
    public long OutputSizePerRank => Parts.Sum(SizePerRank);

    /// <summary>The output features of a part on this rank.</summary>
    public long SizePerRank(PackedPart part)
    {
        ArgumentNullException.ThrowIfNull(part);
        return SplitsInputs ? part.Size : part.Size / (Parallel.WorldSize / part.Replicas);
    }

    /// <summary>The first output feature of a part that this rank has, counted within the part.</summary>
    public long StartOnRank(PackedPart part)
    {
        ArgumentNullException.ThrowIfNull(part);
        return SplitsInputs ? 0 : Parallel.Rank / part.Replicas * SizePerRank(part);
    }
}
