using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>The options of a hosted model, which were validated, as the loaders want them, and the model's connections. Nothing that is configured changes.</summary>
internal sealed class HostedModelSettings
{
    /// <summary>Takes what is configured.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="options">What is configured; copied.</param>
    /// <param name="connections">What finds the model's addresses, where it has one; its maker's.</param>
    public HostedModelSettings(string name, HostedModelOptions options, HostedConnections? connections = null)
    {
        (Name, Options, Connections) = (name, options.Copy(), connections);
        DType = ModelDType.TryParse(options.DType, out var dtype) ? dtype : throw new ArgumentException($"{options.DType} is none of {ModelDType.Names}.", nameof(options));
        Parallel = ModelRank.Of(options) is { WorldSize: > 1 } parallel ? parallel : null;
    }

    /// <summary>The model's name.</summary>
    public string Name { get; }

    /// <summary>What is configured; nobody changes it.</summary>
    public HostedModelOptions Options { get; }

    /// <summary>What finds the model's addresses; null of one that has none.</summary>
    public HostedConnections? Connections { get; }

    /// <summary>Whether the host is ready only when the model is loaded.</summary>
    public bool IsRequired => Options.Required ?? Options.LoadOnStart;

    /// <summary>The checkpoint or configuration.</summary>
    public string Path => Options.Path ?? throw new InvalidOperationException($"The model {Name} has no path, which validation refuses.");

    /// <summary>Where the weights are.</summary>
    public string WeightsPath => Options.Weights ?? Path;

    /// <summary>The dtype that is asked for; null keeps what is stored.</summary>
    public DType? DType { get; }

    /// <summary>The ranks, where there are several; null for one.</summary>
    public TensorParallel? Parallel { get; }

    /// <summary>How files are opened.</summary>
    public CheckpointOptions Open => new()
    {
        Variant = Options.Variant,
        Index = Options.Index,
        Root = Options.Root,
        Gguf = new GgufLimits { Lenient = Options.Lenient },
        Torch = new TorchLimits { AllowUnknownGlobals = Options.AllowUnknownGlobals },
        Remote = Connections,
    };

    /// <summary>How files are read, but for the device, the dtype and the ranks: behind the requests that are answered meanwhile.</summary>
    public LoadOptions Load => new()
    {
        Lanes = Options.Lanes,
        StepsBack = true,
        StagingBytes = Options.StagingBytes,
        ReadMode = Options.ReadMode,
        Include = [.. Options.Include],
        Exclude = [.. Options.Exclude],
    };

    /// <summary>Makes what loads that which ranks have saved, from folders and over the model's connections.</summary>
    public ShardedStateLoader CreateShardedStateLoader() => new(new ShardedStateOptions { Remote = Connections });

    /// <summary>How a live model treats its readers.</summary>
    /// <param name="time">What measures time.</param>
    public HotModelOptions Hot(TimeProvider time) => new()
    {
        LeaseTimeout = Options.LeaseTimeout,
        Open = Open,
        Sharded = Options.Layout == HostedLayout.Sharded ? CreateShardedStateLoader() : null,
        Rank = Parallel?.Rank ?? 0,
        TimeProvider = time,
    };

    /// <summary>How the folder is watched.</summary>
    /// <param name="warnings">Where it is said why a changed folder is not loaded yet.</param>
    public CheckpointWatchOptions Watch(WarningLog? warnings) => new()
    {
        Interval = Options.WatchInterval,
        Debounce = Options.WatchDebounce,
        Warnings = warnings,
    };
}
