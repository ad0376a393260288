using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// The features of a linear layer and what a tensor-parallel rank has of them: a share of the outputs of each packed part (column-parallel), a share of the inputs (row-parallel), or
/// all. Immutable.
/// </summary>
public sealed record LinearLayout
{
    /// <summary>Lays a layer out.</summary>
    /// <param name="inputSize">The input features over all ranks.</param>
    /// <param name="parts">The packed parts in the order of their outputs, at least one; several have ids that differ.</param>
    /// <param name="parallel">The ranks; null for one.</param>
    /// <param name="splitsInputs">Whether ranks share the inputs and not the outputs.</param>
    /// <exception cref="ArgumentException">Features cannot be split evenly over the ranks, or parts cannot be told apart; the message has the numbers.</exception>
    public LinearLayout(long inputSize, ImmutableArray<PackedPart> parts, TensorParallel? parallel = null, bool splitsInputs = false)
    {
        parallel ??= new TensorParallel(1, 0);
        parallel.Validate(nameof(parallel));
        ArgumentOutOfRangeException.ThrowIfNegative(inputSize);
        CheckParts(parts);
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
                    $"{part.Size} output features{(part.Id is null ? "" : $" of {part.Id}")} cannot be split evenly over {parallel.WorldSize} ranks"
                    + $"{(part.Replicas == 1 ? "" : $" of which {part.Replicas} each have the same")}.",
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

    /// <summary>
    /// Query, key and value packed in this order, as <c>q</c>, <c>k</c> and <c>v</c>: each rank has its share of the heads, and where there are more ranks than key and value heads, neighbouring
    /// ranks have the same one.
    /// </summary>
    /// <param name="hiddenSize">The input features.</param>
    /// <param name="heads">The query heads (<c>num_attention_heads</c>).</param>
    /// <param name="keyValueHeads">The key and value heads (<c>num_key_value_heads</c>).</param>
    /// <param name="headSize">The features of a head (<c>head_dim</c>).</param>
    /// <param name="parallel">The ranks; null for one.</param>
    /// <exception cref="ArgumentException">Heads cannot be shared evenly; the message has the fields and their numbers.</exception>
    public static LinearLayout ForAttention(long hiddenSize, long heads, long keyValueHeads, long headSize, TensorParallel? parallel = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(heads);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(keyValueHeads);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(headSize);
        parallel ??= new TensorParallel(1, 0);
        parallel.Validate(nameof(parallel));
        var world = parallel.WorldSize;
        if (EvenSplit.ProblemOfHeads(heads, world) is { } uneven)
        {
            throw new ArgumentException($"{uneven}.", nameof(heads));
        }

        if (EvenSplit.ProblemOfKeyValueHeads(keyValueHeads, world) is { } unevenKeyValue)
        {
            throw new ArgumentException($"{unevenKeyValue}.", nameof(keyValueHeads));
        }

        var replicas = keyValueHeads >= world ? 1 : (int)(world / keyValueHeads);
        var keyValueSize = checked(keyValueHeads * headSize);
        return new LinearLayout(
            hiddenSize, [new("q", checked(heads * headSize)), new("k", keyValueSize, replicas), new("v", keyValueSize, replicas)], parallel);
    }

    /// <summary>Gate and up projection packed in this order, the outputs of each split over the ranks.</summary>
    /// <param name="hiddenSize">The input features.</param>
    /// <param name="intermediateSize">The output features of each (<c>intermediate_size</c>).</param>
    /// <param name="parallel">The ranks; null for one.</param>
    /// <param name="gate">What the gate projection's weights are called; <c>w1</c> in mixtures of experts.</param>
    /// <param name="up">What the up projection's weights are called; <c>w3</c> in mixtures of experts.</param>
    /// <exception cref="ArgumentException">The features cannot be split evenly; the message has the field and the numbers.</exception>
    public static LinearLayout ForGateUp(long hiddenSize, long intermediateSize, TensorParallel? parallel = null, string gate = "gate", string up = "up")
    {
        CheckIntermediate(intermediateSize, parallel);
        return new LinearLayout(hiddenSize, [new(gate, intermediateSize), new(up, intermediateSize)], parallel);
    }

    /// <summary>The projection behind gate and up: its inputs are split over the ranks.</summary>
    /// <param name="hiddenSize">The output features.</param>
    /// <param name="intermediateSize">The input features (<c>intermediate_size</c>).</param>
    /// <param name="parallel">The ranks; null for one.</param>
    /// <param name="id">What its weights are called; <c>w2</c> in mixtures of experts, null elsewhere.</param>
    /// <exception cref="ArgumentException">The features cannot be split evenly; the message has the field and the numbers.</exception>
    public static LinearLayout ForDown(long hiddenSize, long intermediateSize, TensorParallel? parallel = null, string? id = null)
    {
        CheckIntermediate(intermediateSize, parallel);
        return new LinearLayout(intermediateSize, [new(id, hiddenSize)], parallel, splitsInputs: true);
    }

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

    /// <summary>Finds a part by its id, or else by its number, from 0; the only part also without either.</summary>
    internal PackedPart? Find(string? id) =>
        Parts.FirstOrDefault(part => part.Id == id)
        ?? (id is null ? (Parts.Length == 1 ? Parts[0] : null)
            : int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < Parts.Length ? Parts[number]
            : null);

    private static void CheckParts(ImmutableArray<PackedPart> parts)
    {
        if (parts.IsDefaultOrEmpty)
        {
            throw new ArgumentException("A linear layer has at least one part.", nameof(parts));
        }

        foreach (var part in parts)
        {
            if (part is null || part.Size < 0 || part.Replicas < 1)
            {
                throw new ArgumentException(
                    $"{part?.ToString() ?? "null"} is no part of a layer: its size must not be negative, and each share is on a rank at least.",
                    nameof(parts));
            }

            if (parts.Length > 1 && (part.Id is null || parts.Count(other => other.Id == part.Id) > 1))
            {
                var problem = part.Id is null ? "one has none" : $"{Quoted.Name(part.Id)} is there twice";
                throw new ArgumentException($"The ids of several parts must differ; {problem}.", nameof(parts));
            }
        }
    }

    private static void CheckIntermediate(long intermediateSize, TensorParallel? parallel)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(intermediateSize);
        parallel?.Validate(nameof(parallel));
        if (EvenSplit.ProblemOfFeatures(intermediateSize, parallel?.WorldSize ?? 1) is { } uneven)
        {
            throw new ArgumentException($"{uneven}.", nameof(intermediateSize));
        }
    }
}
