using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What one conversion writes into: what the format can hold, and how its files are named, described and begun.</summary>
internal abstract class ConversionTarget
{
    /// <summary>The format's name in messages.</summary>
    public string Name => Format.DisplayName;

    /// <summary>One file of the format in a message.</summary>
    public string OneFile => Format.OneFile;

    /// <summary>Whether one tensor's bytes can have several names; else each is written in full.</summary>
    public abstract bool HasTies { get; }

    /// <summary>Whether quantised blocks can be written as they are.</summary>
    public abstract bool KeepsBlocks { get; }

    /// <summary>The most files of one checkpoint.</summary>
    public abstract int MaximumShards { get; }

    /// <summary>The base name of the index that several shards need beside them; null where they need none.</summary>
    public abstract string? Index { get; }

    /// <summary>
    /// Keys of the checkpoint's metadata that the format has no place for, in its order, without those that describe only the
    /// files it was read from.
    /// </summary>
    public abstract IReadOnlyList<string> OmittedMetadata { get; }

    /// <summary>The format.</summary>
    protected abstract OutputFormat Format { get; }

    /// <summary>The target for a checkpoint.</summary>
    /// <param name="format">What is written.</param>
    /// <param name="checkpoint">What is read, whose metadata is carried over as far as the format allows.</param>
    /// <param name="dtype">What floats and blocks are converted to; null where they are kept.</param>
    public static ConversionTarget Of(OutputFormat format, Checkpoint checkpoint, DType? dtype) => format switch
    {
        OutputFormat.Safetensors => new SafetensorsTarget(checkpoint),
        OutputFormat.Gguf => new GgufTarget(checkpoint, dtype),
        OutputFormat.Torch => new TorchTarget(checkpoint),
        OutputFormat.Npz => new NpzTarget(checkpoint),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "There is no such format."),
    };

    /// <summary>Why a tensor cannot be held, in a few words for a message; null where it can.</summary>
    public abstract string? Objection(OutputTensor tensor);

    /// <summary>The base name of a shard in a folder.</summary>
    public string NameOfShard(int shard, int count) => ShardNames.OfShard(shard, count, Format.Extensions[0]);

    /// <summary>The names that the index lists for a shard: those of its tensors.</summary>
    public virtual IEnumerable<string> IndexedNames(OutputShard shard) => shard.Tensors.Select(tensor => tensor.Name);

    /// <summary>Begins the only file of an output that is no folder.</summary>
    public abstract Task<ITensorWriter> CreateAsync(string path, ConversionPlan plan, bool overwrite, CancellationToken cancellationToken);

    /// <summary>Begins a shard of a folder.</summary>
    public abstract Task<ITensorWriter> CreateAsync(AtomicFolder folder, ConversionPlan plan, int shard, CancellationToken cancellationToken);
}
