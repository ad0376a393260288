namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>inspect --model</c> says: a model's parameters on one rank, the tensors that go into them, and what is missing or left over.</summary>
internal sealed record ModelDocument(
    string Path,
    string Weights,
    ModelDescription Model,
    ModelTotals Totals,
    IReadOnlyList<ListedParameter> Parameters,
    IReadOnlyList<string> Missing,
    IReadOnlyList<string> Unexpected,
    IReadOnlyList<ListedSkipped> Skipped) : Document("ilgpu-loader/inspect-model/1");

/// <summary>What <c>plan --model</c> says: what filling a model's parameters would read and take.</summary>
internal sealed record ModelPlanDocument(
    string Path,
    string Weights,
    string Device,
    bool Fits,
    ModelDescription Model,
    ModelTotals Totals,
    ModelReads Reads,
    IReadOnlyList<PlannedMemory> Memory,
    IReadOnlyList<PlannedRankBytes>? Ranks,
    IReadOnlyList<ListedParameter> Parameters) : Document("ilgpu-loader/plan-model/1");

/// <summary>What <c>load --model</c> did. <c>processSeconds</c> is what quantisation methods took after the load.</summary>
internal sealed record ModelLoadDocument(
    string Path,
    string Weights,
    string Device,
    ModelDescription Model,
    ModelTotals Totals,
    ModelReads Reads,
    double OpenSeconds,
    double PlanSeconds,
    TimedLoad Load,
    double ProcessSeconds,
    long ProcessedBytes,
    long PeakMemoryBytes) : Document("ilgpu-loader/load-model/1");

/// <summary>What a model is: its architecture and layout, the dtype it computes with, the rank, and how it is quantised.</summary>
internal sealed record ModelDescription(string Architecture, string Layout, string Dtype, PlannedRank? TensorParallel, string? Quantization);

/// <summary>Sums of one rank: <c>missing</c> parameters are not filled, or not wholly; <c>unexpected</c> tensors go nowhere; <c>skipped</c> ones are known and not needed.</summary>
internal sealed record ModelTotals(int Parameters, long Bytes, int Tensors, int Missing, int Unexpected, int Skipped);

/// <summary>
/// What is read. <c>passingBytes</c>: the most that is on its way to places that do not lie side by side; <c>valueBytes</c>: what is read for loaders that need
/// values; <c>repeated</c>: places that get what is read for others.
/// </summary>
internal sealed record ModelReads(
    long BytesToRead, long BytesNeeded, int Runs, int Lanes, long StagingBytes, long PassingBytes, long ValueBytes, int Repeated);

/// <summary>A parameter, and the tensors that fill it.</summary>
internal sealed record ListedParameter(string Name, string Dtype, IReadOnlyList<long> Shape, long Bytes, bool Filled, IReadOnlyList<ListedSource> Sources);

/// <summary>A tensor that goes into a parameter: which part it is, and how many elements of it this rank takes.</summary>
internal sealed record ListedSource(string Tensor, string? Part, int? Expert, long Elements);

internal sealed record ListedSkipped(string Tensor, string Reason);
