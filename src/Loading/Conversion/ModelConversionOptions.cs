using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How a model's parameters are written, and what that may cost. Immutable.</summary>
public sealed record ModelConversionOptions
{
    /// <summary>The default window in bytes: as much as staging takes by default, and more than nearly every parameter.</summary>
    public const long DefaultWindowBytes = 256L << 20;

    /// <summary>The defaults.</summary>
    public static ModelConversionOptions Default { get; } = new();

    /// <summary>What is loaded and how, into host memory.</summary>
    public ModuleLoadOptions Load { get; init; } = ModuleLoadOptions.Default;

    /// <summary>
    /// The most bytes of parameters that are in memory at a time, from 1; a single larger parameter still passes. Staging (<see cref="LoadOptions.StagingBytes"/>) and what loaders
    /// ask for that need values come on top.
    /// </summary>
    public long WindowBytes { get; init; } = DefaultWindowBytes;

    /// <inheritdoc cref="ConversionOptions.MaximumShardBytes"/>
    public long? MaximumShardBytes { get; init; }

    /// <summary>Whether a parameter of several names is written under each of them; by default under the first, of which the others are ties.</summary>
    public bool DuplicateTies { get; init; }

    /// <summary>The dtype that the configuration beside the weights names afterwards; null where it stays as it is.</summary>
    public DType? ConfigDType { get; init; }

    /// <summary>The folder that configuration and tokenizer are carried from; null for where the weights lie.</summary>
    public string? CarriedFrom { get; init; }

    /// <summary>The place that they are carried from instead, such as a remote one (<see cref="IRemoteCheckpoints.LocateAsync"/>); null for <see cref="CarriedFrom"/>.</summary>
    public ICheckpointPlace? CarriedPlace { get; init; }

    /// <summary>Whether an output that is there already is replaced.</summary>
    public bool Overwrite { get; init; }
}
