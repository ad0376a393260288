using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What of a checkpoint is measured, and how. Immutable.</summary>
public sealed record CheckpointBenchmarkOptions
{
    /// <summary>Five rounds: the median of fewer is the middle of nothing, and large checkpoints take minutes a round.</summary>
    public const int DefaultRounds = 5;

    /// <summary>How often everything is measured, in interleaved pairs with what it is held against. At least once.</summary>
    public int Rounds { get; init; } = DefaultRounds;

    /// <summary>How the checkpoint is opened; null for the defaults.</summary>
    public CheckpointOptions? Checkpoint { get; init; }

    /// <summary>
    /// What is loaded and how: device, lanes, staging, read mode, names. Its <see cref="LoadOptions.DType"/> is not used.
    /// </summary>
    public LoadOptions Load { get; init; } = LoadOptions.Default;

    /// <summary>What floating types and block types are converted to; each that changes something is measured by itself.</summary>
    public ImmutableArray<DType> DTypes { get; init; } = [DType.F32, DType.BF16];

    /// <summary>
    /// Whether loads from files that are not in the page cache are measured too: before each read the files are dropped from it, which
    /// other programs that use them notice.
    /// </summary>
    public bool Cold { get; init; }
}
