namespace IlgpuLoader.Cli.Output;

/// <summary>
/// What <c>convert</c> wrote. The separated ones are there where views of one storage were written each by itself, the unscaled ones where
/// quantised tensors lost their scales, the rank and its sliced ones where a rank's share was asked for.
/// </summary>
internal sealed record ConvertDocument(
    string Path,
    string Output,
    string Dtype,
    string Device,
    int Tensors,
    int ConvertedTensors,
    int Ties,
    long BytesRead,
    long BytesWritten,
    IReadOnlyList<string> Files,
    IReadOnlyList<string> CarriedFiles,
    IReadOnlyList<OverflowedTensor> Overflows,
    int Lanes,
    double Seconds,
    double ReadGigabytesPerSecond,
    double WriteGigabytesPerSecond,
    long PeakMemoryBytes,
    string Format,
    int DuplicatedTensors,
    long DuplicatedBytes,
    IReadOnlyList<string> OmittedMetadata,
    int? SeparatedTensors = null,
    long? SeparatedBytes = null,
    IReadOnlyList<string>? UnscaledTensors = null,
    PlannedRank? TensorParallel = null,
    int? SlicedTensors = null) : Document("ilgpu-loader/convert/1");

/// <summary>
/// What <c>convert --model</c> wrote. <c>writtenParameters</c> are those of <c>totals</c> without the optional ones that nothing fills; <c>batches</c>: how many times a window of them was
/// loaded, written and freed.
/// </summary>
internal sealed record ModelConvertDocument(
    string Path,
    string Weights,
    string Output,
    string Format,
    ModelDescription Model,
    ModelTotals Totals,
    int WrittenParameters,
    int Ties,
    int Batches,
    long BytesRead,
    long BytesWritten,
    IReadOnlyList<string> Files,
    IReadOnlyList<string> CarriedFiles,
    IReadOnlyList<string> OmittedMetadata,
    double Seconds,
    double ReadGigabytesPerSecond,
    double WriteGigabytesPerSecond,
    long PeakMemoryBytes) : Document("ilgpu-loader/convert-model/1");

internal sealed record OverflowedTensor(string Name, long Values);
