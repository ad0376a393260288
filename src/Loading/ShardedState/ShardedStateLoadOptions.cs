using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;

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

    /// <summary>The save that the folder must have (<see cref="RankManifest.SaveId"/>); null for any. Who has opened it before, and loads it now, knows so that it is still the same.</summary>
    public string? SaveId { get; init; }

    /// <summary>
    /// Whether the model's weights are processed, or are to be; a state that says otherwise is refused. Null (default): not compared; a model with storage whose quantisation processes weights is written into with a warning then.
    /// </summary>
    public bool? IsProcessed { get; init; }

    /// <summary>
    /// Whether tensors that are narrower than their parameters are loaded, with a warning and the rest zeroed, where the folder has manifests too: what this library saves has its parameter's own shape. A folder without
    /// manifests, as vLLM writes it, may always have them. Default: false.
    /// </summary>
    public bool AllowsNarrower { get; init; }

    /// <summary>Where warnings go.</summary>
    public WarningLog Warnings { get; init; } = WarningLog.None;

    /// <summary>Refuses another save than the one that is asked for.</summary>
    /// <param name="folder">The folder, for the message.</param>
    /// <param name="manifests">Its manifests.</param>
    /// <exception cref="InvalidCheckpointException">It has another save.</exception>
    internal void ThrowIfOtherSave(string folder, ImmutableArray<RankManifest> manifests)
    {
        var found = manifests.IsEmpty ? null : manifests[0].SaveId;
        if (SaveId is not null && SaveId != found)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ManifestInvalid,
                folder,
                $"the save {Quoted.Name(SaveId)} was expected, and {(found is null ? "there are no manifests" : $"this is {Quoted.Name(found)}")}: the folder was replaced; load it again.",
                SafetensorsConstants.Format);
        }
    }

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
