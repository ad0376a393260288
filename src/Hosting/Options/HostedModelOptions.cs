using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>A model that a host loads: what it is, where it goes, and when. Bound from <c>IlgpuLoader:Models:NAME</c>; read once, when the host starts.</summary>
public sealed class HostedModelOptions
{
    /// <summary>The checkpoint: a file, a folder or an index, relative to the working directory of the process; or its address (<c>hf://</c>, <c>ms://</c>, <c>https://</c>, <c>s3://</c>).</summary>
    public string? Path { get; set; }

    /// <summary>Whether a model of the Hub or of ModelScope is read from the network as it is loaded, without a copy in the cache; what other addresses name always is. Default: false.</summary>
    public bool Stream { get; set; }

    /// <summary>
    /// The device that the tensors go to, such as <c>host</c>, <c>cuda:0</c> or <c>cuda:0,cuda:1</c>, <c>auto</c> for the best there is, or the name of a device that the host was
    /// given (<c>AddDevice</c>). Default: <c>auto</c>.
    /// </summary>
    public string Device { get; set; } = DeviceCatalog.Auto;

    /// <summary>What the model is made of. Default: the checkpoint's own tensors.</summary>
    public HostedLayout Layout { get; set; }

    /// <summary>Which layout of the architecture <see cref="HostedLayout.Model"/> and <see cref="HostedLayout.Sharded"/> take. Default: native where there is one.</summary>
    public ModelImplementation Implementation { get; set; }

    /// <summary>The dtype that floating tensors get, such as <c>f32</c>, with a layout that the model computes with; null keeps each as it is stored, and a layout's is what its configuration says.</summary>
    public string? DType { get; set; }

    /// <summary>Whether the model is loaded when the host starts; else by a call. Default: true.</summary>
    public bool LoadOnStart { get; set; } = true;

    /// <summary>Whether the host is ready only when the model is loaded. Default: true for models that are loaded on start.</summary>
    public bool? Required { get; set; }

    /// <summary>What becomes of the host when the model cannot be loaded at start; null for <see cref="IlgpuLoaderOptions.OnFailure"/>.</summary>
    public FailureBehavior? OnFailure { get; set; }

    /// <summary>Whether the folder is watched, and the model reloaded when another complete checkpoint is there. Default: false.</summary>
    public bool Watch { get; set; }

    /// <inheritdoc cref="CheckpointWatchOptions.Interval"/>
    public TimeSpan WatchInterval { get; set; } = CheckpointWatchOptions.Default.Interval;

    /// <inheritdoc cref="CheckpointWatchOptions.Debounce"/>
    public TimeSpan WatchDebounce { get; set; } = CheckpointWatchOptions.Default.Debounce;

    /// <summary>How a reload of <see cref="HostedLayout.Checkpoint"/> uses memory. Default: beside.</summary>
    public ReloadMode ReloadMode { get; set; }

    /// <inheritdoc cref="HotModelOptions.LeaseTimeout"/>
    public TimeSpan LeaseTimeout { get; set; } = HotModelOptions.Default.LeaseTimeout;

    /// <summary>The number of tensor-parallel ranks that share the model. Default: 1.</summary>
    public int WorldSize { get; set; } = 1;

    /// <summary>Which of these ranks this host is; null for what the launcher says (torchrun, SLURM, Open MPI, Kubernetes), 0 for one rank.</summary>
    public int? Rank { get; set; }

    /// <summary>Names of the checkpoint's tensors to load, with <c>*</c> and <c>?</c>; empty for all.</summary>
    public IList<string> Include { get; private set; } = [];

    /// <summary>Names to leave out; wins over <see cref="Include"/>.</summary>
    public IList<string> Exclude { get; private set; } = [];

    /// <inheritdoc cref="LoadOptions.Lanes"/>
    public int? Lanes { get; set; }

    /// <inheritdoc cref="LoadOptions.StagingBytes"/>
    public long StagingBytes { get; set; } = LoadOptions.DefaultStagingBytes;

    /// <inheritdoc cref="LoadOptions.ReadMode"/>
    public ReadMode ReadMode { get; set; }

    /// <summary>A manifest (<c>ilgpu-loader hash --write</c>) that <see cref="HostedLayout.Checkpoint"/> is held against; null for none.</summary>
    public string? Manifest { get; set; }

    /// <summary>Whether <see cref="HostedLayout.Sharded"/> holds each tensor's SHA-256 against the ranks' manifests. Default: true.</summary>
    public bool Verify { get; set; } = true;

    /// <summary>Whether a layout refuses a checkpoint that leaves a parameter without a weight, or a weight without a parameter. Default: true.</summary>
    public bool Strict { get; set; } = true;

    /// <summary>Where the weights of a layout are, if not at <see cref="Path"/>, which has the configuration then.</summary>
    public string? Weights { get; set; }

    /// <summary>A file of rules that change names for a layout, or of a GGUF checkpoint a map of its names.</summary>
    public string? Map { get; set; }

    /// <inheritdoc cref="CheckpointOptions.Variant"/>
    public string? Variant { get; set; }

    /// <inheritdoc cref="CheckpointOptions.Index"/>
    public string? Index { get; set; }

    /// <inheritdoc cref="CheckpointOptions.Root"/>
    public string? Root { get; set; }

    /// <summary>Whether GGUF files are accepted whose tensors are out of order or have holes between them.</summary>
    public bool Lenient { get; set; }

    /// <summary>Whether PyTorch files are read that name foreign classes, as inert records; nothing is ever executed.</summary>
    public bool AllowUnknownGlobals { get; set; }

    /// <summary>Another with the same values.</summary>
    internal HostedModelOptions Copy()
    {
        var copy = (HostedModelOptions)MemberwiseClone();
        (copy.Include, copy.Exclude) = ([.. Include], [.. Exclude]);
        return copy;
    }
}
