using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What iterators over weights give, where to, and what they accept. Immutable.</summary>
public record WeightsOptions
{
    /// <summary>
    /// Device, dtype, lanes, staging and the window of tensors that wait to be taken. <see cref="LoadOptions.Include"/> and
    /// <see cref="LoadOptions.Exclude"/> choose weights by their names. Weights are whole, and their loaders take a rank's part:
    /// <see cref="LoadOptions.TensorParallel"/> is refused, and so is <see cref="LoadOptions.Manifest"/>, which is held against a whole checkpoint.
    /// </summary>
    public LoadOptions Load { get; init; } = LoadOptions.Default;

    /// <summary>What is accepted from the files. Variant and index choose files from folders, and say nothing here.</summary>
    public CheckpointOptions Checkpoint { get; init; } = CheckpointOptions.Default;

    /// <summary>Where warnings go.</summary>
    public WarningLog Warnings { get; init; } = WarningLog.None;

    /// <summary>How the bytes of a file are found; null for those of a local file.</summary>
    internal Func<string, OpenFileLimit, IByteSource>? Open { get; init; }

    /// <summary>Which weights are meant.</summary>
    internal TensorChoice Choice => new(Load.Include, Load.Exclude);

    /// <summary>Refuses what iterators cannot do.</summary>
    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The option is what is wrong.")]
    internal void Check()
    {
        ArgumentNullException.ThrowIfNull(Load, nameof(Load));
        ArgumentNullException.ThrowIfNull(Checkpoint, nameof(Checkpoint));
        ArgumentNullException.ThrowIfNull(Warnings, nameof(Warnings));
        if (Load.TensorParallel is not null || Load.Manifest is not null)
        {
            throw new ArgumentException(
                $"Weights are given whole, file by file: their loaders take a rank's part, and a checkpoint is held against a manifest by itself. Leave "
                + $"{nameof(LoadOptions.TensorParallel)} and {nameof(LoadOptions.Manifest)} out.",
                nameof(Load));
        }
    }
}
