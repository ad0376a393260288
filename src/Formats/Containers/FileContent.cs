namespace IlgpuLoader.Formats;

/// <summary>What one file of a checkpoint holds, according to its validated header.</summary>
/// <param name="Tensors">The stored tensors, in the order of their bytes.</param>
/// <param name="Metadata">The file's own metadata, by key, without what was understood as ties.</param>
/// <param name="Ties">More names for the stored tensors; null where the file has none, as almost all.</param>
internal sealed record FileContent(
    IReadOnlyList<TensorInfo> Tensors, IReadOnlyDictionary<string, object> Metadata, FileTies? Ties = null)
{
    /// <summary>The file that the tensors name, where its reader made it anew: with a header, or with another source.</summary>
    public CheckpointFile? File { get; init; }

    /// <summary>Tensors of unknown types, in the order of the file, where they are asked for.</summary>
    public IReadOnlyList<UnreadableTensor> Unreadable { get; init; } = [];

    /// <summary>
    /// The one part of the file that holds the weights of a model, where its structure shows one: <c>state_dict</c>,
    /// <c>model</c> or <c>model_state_dict</c> of a training checkpoint. Null elsewhere.
    /// </summary>
    public string? WeightsRoot { get; init; }

    /// <summary>What is odd but valid, in sentences.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}
