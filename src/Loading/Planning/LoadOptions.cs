using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What is loaded, where to, and what it may cost. Immutable.</summary>
public sealed record LoadOptions
{
    /// <summary>
    /// The default cap on staging memory: 256 MiB, what the fastest loaders use (16 slots of 16 MiB), since more in flight
    /// has not been seen to help.
    /// </summary>
    public const long DefaultStagingBytes = 256L << 20;

    /// <summary>The defaults: everything, as it is stored, into host memory.</summary>
    public static LoadOptions Default { get; } = new();

    /// <summary>The device that the tensors go to, or several that each get all of them (<see cref="DeviceGroup"/>). Default: the host.</summary>
    public Device Device { get; init; } = HostDevice.Shared;

    /// <summary>
    /// The dtype that tensors of floating types and of block types, which are decoded, get: one of <see cref="Codecs.Targets"/>.
    /// Null keeps each as it is stored. Integers, BOOL and complex numbers are kept unless <see cref="ConvertAllTypes"/> is set.
    /// Scales of their own, as F8_E8M0 tensors beside F4 ones, are floats like any other: they are converted, not applied.
    /// </summary>
    public DType? DType { get; init; }

    /// <summary>
    /// Whether <see cref="DType"/> also applies to integers and BOOL, and to complex numbers as pairs in one more dimension of
    /// two.
    /// </summary>
    public bool ConvertAllTypes { get; init; }

    /// <summary>
    /// The rank of a tensor-parallel group to load for; null for all of every tensor. Tensors are split by their names, as
    /// transformers names them in the Llama, Mistral, Qwen, Gemma and Mixtral families; one of another name is loaded whole.
    /// </summary>
    public TensorParallel? TensorParallel { get; init; }

    /// <summary>
    /// What the stored bytes must be: each tensor is hashed as it is read, and a load of others fails with a
    /// <see cref="ManifestMismatchException"/> that names them all. A stream hands over only tensors that match. Null to load
    /// whatever is there.
    /// </summary>
    public TensorManifest? Manifest { get; init; }

    /// <summary>How many lanes read side by side; null for one a core, at most eight, and eight where most bytes are read past the page cache.</summary>
    public int? Lanes { get; init; }

    /// <summary>
    /// Whether the lanes' threads step back behind the process's other threads (on Linux to a nice value of 10), so that a service answers while it loads. A load that has the machine for itself is as fast. Default: false.
    /// </summary>
    public bool StepsBack { get; init; }

    /// <summary>
    /// The most memory that staging slots may take, all lanes together, in bytes; a hard cap. At least 64 KiB. What few plans take beside slots,
    /// for views whose elements lie apart and parts inside blocks, is <see cref="LoadPlan.ScratchBytes"/>.
    /// </summary>
    public long StagingBytes { get; init; } = DefaultStagingBytes;

    /// <summary>How bytes come from local files.</summary>
    public ReadMode ReadMode { get; init; }

    /// <summary>
    /// Whether a slice whose bytes do not lie side by side is read segment by segment, however short the segments are: no byte is
    /// read that is not needed, at the price of a read for each. Without it, whichever moves fewer bytes for its cost.
    /// </summary>
    public bool ExactSlices { get; init; }

    /// <summary>
    /// The most bytes that small tensors may have as views of one block of device memory, a slab, one behind the other in the order of the
    /// plan: one allocation for many instead of one each, freed when the last of them is disposed. 0, the default, gives each tensor memory of
    /// its own. A larger tensor has its own in any case, and so has each tensor of a stream. Who detaches a few tensors of a model and
    /// drops the rest keeps the whole slabs that they lie in.
    /// </summary>
    public long SlabBytes { get; init; }

    /// <summary>
    /// How many bytes of tensors <see cref="CheckpointLoader.StreamAsync"/> holds that the caller has not taken yet; a
    /// single larger tensor, or tensors that share a slot, still pass.
    /// </summary>
    public long StreamWindowBytes { get; init; } = DefaultStagingBytes;

    /// <summary>Names to load, with <c>*</c> and <c>?</c>, and <c>\</c> before a character that is meant as it is; empty for all.</summary>
    public ImmutableArray<string> Include { get; init; } = [];

    /// <summary>Names to leave out, with the same patterns; wins over <see cref="Include"/>.</summary>
    public ImmutableArray<string> Exclude { get; init; } = [];

    /// <summary>The dtype that a tensor gets which is stored as this one.</summary>
    internal DType DTypeOf(DType stored) => DType is { } asked && (stored.HoldsFloats || ConvertAllTypes) ? asked : stored;
}
