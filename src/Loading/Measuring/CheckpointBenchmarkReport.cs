using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What a benchmark of a checkpoint has measured. Immutable.</summary>
/// <param name="Path">The checkpoint.</param>
/// <param name="Format">Its format.</param>
/// <param name="Tensors">The tensors that were loaded.</param>
/// <param name="BytesRead">The bytes that a load reads.</param>
/// <param name="Machine">What it was measured on.</param>
/// <param name="Device">Where the tensors went.</param>
/// <param name="Date">When it began.</param>
/// <param name="Rounds">How often everything was measured.</param>
/// <param name="Lanes">How many lanes read.</param>
/// <param name="StagingBytes">The memory of their slots.</param>
/// <param name="ReadMode">How the loader read.</param>
/// <param name="YardstickBytes">The memory that plain reads went into.</param>
/// <param name="IsYardstickBounded">
/// Whether that is less than the files have, so that its blocks were used in turn: caches of the processor then make the limit a little faster.
/// </param>
/// <param name="AreFilesCached">
/// Whether the files stayed in the page cache when they were read, or nobody says; else they are larger than it, and what is called warm
/// came from the disk.
/// </param>
/// <param name="Limits">What the machine can do by itself.</param>
/// <param name="Rows">What was measured.</param>
public sealed record CheckpointBenchmarkReport(
    string Path,
    string Format,
    int Tensors,
    long BytesRead,
    MachineDescription Machine,
    string Device,
    DateTimeOffset Date,
    int Rounds,
    int Lanes,
    long StagingBytes,
    ReadMode ReadMode,
    long YardstickBytes,
    bool IsYardstickBounded,
    bool AreFilesCached,
    ImmutableArray<Measurement> Limits,
    ImmutableArray<Measurement> Rows);
