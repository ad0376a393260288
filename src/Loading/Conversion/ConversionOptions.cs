using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a conversion writes and what it may cost. Immutable.</summary>
public sealed record ConversionOptions
{
    /// <summary>
    /// The default largest shard in bytes: 5 GB, what transformers has split checkpoints into for years, so that readers and
    /// mirrors are known to take such files.
    /// </summary>
    public const long DefaultMaximumShardBytes = 5_000_000_000;

    /// <summary>The defaults: every tensor as it is stored, in shards of 5 GB.</summary>
    public static ConversionOptions Default { get; } = new();

    /// <summary>
    /// What is written; null for what the output's name says: a file named <c>.gguf</c> is GGUF, one named
    /// <c>.safetensors</c> and every folder safetensors.
    /// </summary>
    public OutputFormat? Format { get; init; }

    /// <summary>
    /// The dtype that tensors of floating types and of block types, which are decoded, get; null keeps each as it is stored.
    /// Integers, BOOL and complex numbers are always kept.
    /// </summary>
    public DType? DType { get; init; }

    /// <summary>
    /// The largest shard in bytes of tensor data, its header not counted, for an output folder; a larger tensor gets a shard of
    /// its own. Null for <see cref="DefaultMaximumShardBytes"/>. A single file is never split: with it, tensors beyond this are
    /// refused.
    /// </summary>
    public long? MaximumShardBytes { get; init; }

    /// <summary>The tensors that are written, by their names in the checkpoint.</summary>
    public TensorChoice Choice { get; init; } = TensorChoice.All;

    /// <summary>
    /// The rank whose share of each tensor is written, by the names that tensors are written under; null for whole tensors. The shares are those of
    /// <see cref="LoadOptions.TensorParallel"/>, and configuration and metadata stay those of the whole model.
    /// </summary>
    public TensorParallel? TensorParallel { get; init; }

    /// <summary>What tensors are called in the output, and which are left out; null for their own names. Metadata keeps the names it has.</summary>
    public WeightNameMapper? Names { get; init; }

    /// <summary>
    /// Whether tensors that share their bytes are each written in full. By default the first is written, and the metadata
    /// key <c>ties</c> names the others, which <see cref="Checkpoint"/> gives back tied; GGUF has no ties, and each is
    /// written in full there in any case.
    /// </summary>
    public bool DuplicateTies { get; init; }

    /// <summary>The device that decodes and converts. Default: the host.</summary>
    public Device Device { get; init; } = HostDevice.Shared;

    /// <summary>How many lanes read, convert and write side by side; null for one a core, at most eight.</summary>
    public int? Lanes { get; init; }

    /// <summary>The most memory that staging may take, in bytes: slots, and where values are converted their results. At least 64 KiB.</summary>
    public long StagingBytes { get; init; } = LoadOptions.DefaultStagingBytes;

    /// <summary>Whether an output that is there already is replaced.</summary>
    public bool Overwrite { get; init; }
}
