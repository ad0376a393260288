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
    /// What all ranks of one save call it: 1 to 64 letters and digits of ASCII, <c>.</c>, <c>_</c> and <c>-</c>, not beginning with <c>.</c>, without <c>.save-</c> in it and not ending with <c>.tmp</c> or
    /// <c>.old</c>. Needed where there are several ranks; one alone makes one up.
    /// </summary>
    /// <remarks>
    /// For one save of one content, and used once: a launcher's run and the training step, say. A rank's share waits for the others under this name, and whichever rank comes under the same name completes it: where an earlier
    /// save ended before all its ranks were there, a later one with its name would have that rank's old weights in it. What ranks saw of configuration and tokenizer, their number and the pattern are held against each other; weights
    /// cannot be.
    /// </remarks>
    public string? SaveId { get; init; }

    /// <summary>Whether a folder that is there is replaced.</summary>
    public bool Overwrite { get; init; }

    /// <summary>Whether the weights were processed after their load (<see cref="WeightProcessing"/>): a load into a new model then processes that first, without values.</summary>
    public bool IsProcessed { get; init; }

    /// <summary>The dtype that the model computes with; needed where <see cref="IsProcessed"/> is set.</summary>
    public DType? ModelDType { get; init; }

    /// <summary>
    /// The folder whose configuration and tokenizer go along; null for none. The last rank copies them, and a rank that saw others is refused.
    /// </summary>
    public string? CarriedFrom { get; init; }

    /// <summary>The place that they are carried from instead, such as a remote one (<see cref="IRemoteCheckpoints.LocateAsync"/>); null for <see cref="CarriedFrom"/>.</summary>
    public ICheckpointPlace? CarriedPlace { get; init; }
}
