using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Loading;

/// <summary>How a state is loaded. Immutable.</summary>
public sealed record ShardedStateLoadOptions
{
    /// <summary>The defaults: to the host, verified.</summary>
    public static ShardedStateLoadOptions Default { get; } = new();

    /// <summary>Device, lanes, staging and how files are read. What chooses, converts or splits tensors is refused: they are loaded as they were saved.</summary>
    public LoadOptions Load { get; init; } = LoadOptions.Default;

    /// <summary>Whether each tensor's SHA-256 is held against the folder's manifests as it is read. Default: true.</summary>
    public bool Verify { get; init; } = true;

    /// <summary>Where warnings go.</summary>
    public WarningLog Warnings { get; init; } = WarningLog.None;

    /// <summary>Refuses what a state cannot be loaded with.</summary>
    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The option is what is wrong.")]
    internal void Check()
    {
        ArgumentNullException.ThrowIfNull(Load, nameof(Load));
        ArgumentNullException.ThrowIfNull(Warnings, nameof(Warnings));
        string[] refused =
        [
            .. Load.DType is not null || Load.ConvertAllTypes ? [nameof(Load.DType)] : Array.Empty<string>(),
            .. Load.TensorParallel is not null ? [nameof(Load.TensorParallel)] : Array.Empty<string>(),
            .. Load.Include.Length > 0 ? [nameof(Load.Include)] : Array.Empty<string>(),
            .. Load.Exclude.Length > 0 ? [nameof(Load.Exclude)] : Array.Empty<string>(),
            .. Load.Manifest is not null ? [nameof(Load.Manifest)] : Array.Empty<string>(),
        ];
        if (refused.Length > 0)
        {
            throw new ArgumentException($"A state is loaded as this rank has saved it, all of it and against its own manifest: leave {string.Join(", ", refused)} out.", nameof(Load));
        }
    }
}
