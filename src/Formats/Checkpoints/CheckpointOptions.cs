using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Formats.Zip;

namespace IlgpuLoader.Formats;

/// <summary>How a checkpoint is found and what is accepted from it. Immutable.</summary>
public sealed record CheckpointOptions
{
    /// <summary>
    /// The default largest index in bytes: what the safetensors reference accepts as a header, since an index names the
    /// same tensors with fewer words each.
    /// </summary>
    public const long DefaultMaximumIndexBytes = SafetensorsLimits.DefaultMaximumHeaderBytes;

    /// <summary>The defaults.</summary>
    public static CheckpointOptions Default { get; } = new();

    /// <summary>
    /// The variant to open, such as <c>fp16</c> for <c>model.fp16.safetensors</c>; null for the files without one.
    /// </summary>
    public string? Variant { get; init; }

    /// <summary>The base name of the index file to use where a folder has several; null where it has one or none.</summary>
    public string? Index { get; init; }

    /// <summary>How many files stay open at the same time, at least 1.</summary>
    public int MaximumOpenFiles
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = OpenFileLimit.DefaultMaximum;

    /// <summary>The largest index or configuration file in bytes.</summary>
    public long MaximumIndexBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 2);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength);
            field = value;
        }
    } = DefaultMaximumIndexBytes;

    /// <summary>Finds what addresses (<c>scheme://…</c>) mean, wherever a path is taken; null where only local files are read. It stays its owner's, and outlives the checkpoints that are opened through it.</summary>
    public IRemoteCheckpoints? Remote { get; init; }

    /// <summary>What is accepted from safetensors files.</summary>
    public SafetensorsLimits Safetensors { get; init; } = SafetensorsLimits.Default;

    /// <summary>What is accepted from GGUF files.</summary>
    public GgufLimits Gguf { get; init; } = GgufLimits.Default;

    /// <summary>What is accepted from zip archives, which PyTorch's files and NumPy's archives are.</summary>
    public ZipLimits Zip { get; init; } = ZipLimits.Default;

    /// <summary>What is accepted from PyTorch files.</summary>
    public TorchLimits Torch { get; init; } = TorchLimits.Default;

    /// <summary>What is accepted from NumPy files.</summary>
    public NumpyLimits Numpy { get; init; } = NumpyLimits.Default;

    /// <summary>
    /// The part of the checkpoint that is meant, such as <c>state_dict</c>: only tensors below it count, and their names
    /// lose it. Null for everything under its whole name.
    /// </summary>
    public string? Root { get; init; }

    /// <summary>
    /// Whether tensors of unknown types are listed in <see cref="Checkpoint.UnreadableTensors"/>, for whoever only wants to
    /// see what is in a file. Default false: such a file is refused.
    /// </summary>
    public bool ListUnreadableTensors { get; init; }
}
