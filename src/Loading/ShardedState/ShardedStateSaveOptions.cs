using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How a rank's state is saved. Immutable.</summary>
public sealed record ShardedStateSaveOptions
{
    /// <summary>The defaults: one rank, one part.</summary>
    public static ShardedStateSaveOptions Default { get; } = new();

    /// <summary>What the files are called; null for the loader's pattern. The same for all ranks.</summary>
    public ShardFilePattern? Pattern { get; init; }

    /// <summary>The most bytes of tensors in a part: a part ends before it would have more, and a larger tensor has a part of its own. Null for one part.</summary>
    public long? MaximumPartBytes { get; init; }

    /// <summary>Which rank of how many the model is.</summary>
    public TensorParallel Parallel { get; init; } = new(1, 0);

    /// <summary>
    /// What all ranks of one save call it: 1 to 64 of letters, digits, <c>.</c>, <c>_</c> and <c>-</c>. Needed where there are several ranks; one alone makes one up.
    /// </summary>
    public string? SaveId { get; init; }

    /// <summary>Whether a folder that is there is replaced.</summary>
    public bool Overwrite { get; init; }

    /// <summary>Whether the weights were processed after their load (<see cref="WeightProcessing"/>): a load into a new model then processes that first, without values.</summary>
    public bool IsProcessed { get; init; }

    /// <summary>The dtype that the model computes with; needed where <see cref="IsProcessed"/> is set.</summary>
    public DType? ModelDType { get; init; }

    /// <summary>The folder whose configuration and tokenizer go along; null for none. The last rank copies them.</summary>
    public string? CarriedFrom { get; init; }
}
