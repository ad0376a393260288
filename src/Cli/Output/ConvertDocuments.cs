namespace IlgpuLoader.Cli.Output;

/// <summary>
/// What <c>convert</c> wrote. The separated ones are there where views of one storage were written each by itself, the unscaled ones where
/// quantised tensors lost their scales.
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
    IReadOnlyList<string>? UnscaledTensors = null) : Document("ilgpu-loader/convert/1");

internal sealed record OverflowedTensor(string Name, long Values);
