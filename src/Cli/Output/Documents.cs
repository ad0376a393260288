using System.Text.Json.Serialization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Cli.Output;

// The JSON documents of the tool. Scripts rely on them: fields may be added, but none is renamed or removed without a
// new number in the schema.

/// <summary>What every document begins with.</summary>
/// <param name="Schema">The document's name and version.</param>
internal abstract record Document([property: JsonPropertyOrder(-1)] string Schema);

/// <summary>Any failure, under --json.</summary>
internal sealed record ErrorDocument(ErrorDetails Error) : Document("ilgpu-loader/error/1");

internal sealed record ErrorDetails(string Code, string Message, int ExitCode, string? File, string? Tensor);

/// <summary>What <c>inspect</c> shows.</summary>
internal sealed record InspectDocument(
    string Path,
    string Format,
    IReadOnlyList<InspectedFile> Files,
    IReadOnlyDictionary<string, MetadataValue> Metadata,
    InspectedConfig? Config,
    InspectedTotals Totals,
    IReadOnlyList<InspectedTensor> Tensors,
    IReadOnlyList<string> Warnings,
    IReadOnlyList<InspectedUnreadable>? UnreadableTensors = null,
    string? WeightsRoot = null,
    FetchedTotals? Fetched = null) : Document("ilgpu-loader/inspect/1");

/// <summary>
/// Version and byte order are there for GGUF and PyTorch files, the alignment for GGUF files, what follows for PyTorch files: zip,
/// torchscript, stream or pickle; the folder of an archive; the pickle's protocol; how many storages there are.
/// </summary>
internal sealed record InspectedFile(
    string Name,
    string Path,
    long Bytes,
    int Tensors,
    int? Version = null,
    bool? BigEndian = null,
    int? Alignment = null,
    string? Container = null,
    string? Root = null,
    int? Protocol = null,
    int? Storages = null);

/// <summary>A tensor of a type that nobody here knows.</summary>
internal sealed record InspectedUnreadable(string Name, string Type, int TypeId, IReadOnlyList<long> Shape, string File, long Offset);

internal sealed record InspectedConfig(
    string Path,
    IReadOnlyList<string> Architectures,
    string? ModelType,
    string? TorchDtype,
    long? Layers,
    long? HiddenSize,
    long? Heads,
    long? KeyValueHeads,
    long? VocabularySize,
    string? Quantization);

internal sealed record InspectedTotals(
    int Tensors, long Parameters, long Bytes, double? BitsPerWeight, IReadOnlyList<InspectedDType> ByDtype);

internal sealed record InspectedDType(string Dtype, int Tensors, long Elements, long Bytes, double? BitsPerWeight);

/// <summary>Statistics are there with --stats only; a view is there where strides see a part of a storage, or another order of it.</summary>
internal sealed record InspectedTensor(
    string Name,
    string Dtype,
    IReadOnlyList<long> Shape,
    string File,
    long Offset,
    long Bytes,
    string? TiedTo,
    DescribedStatistics? Statistics = null,
    ListedView? View = null);

/// <summary>
/// How a tensor sees its storage: strides and offset in elements, the storage's place and size in bytes, and the first tensor that
/// shares it.
/// </summary>
internal sealed record ListedView(
    IReadOnlyList<long> Strides, long StorageOffset, bool Contiguous, long StorageStart, long StorageBytes, string? SharesWith)
{
    public static ListedView? Of(TensorInfo tensor, StorageNotes notes) => tensor.IsWholeStorage
        ? null
        : new ListedView(
            tensor.Strides, tensor.StorageOffset, tensor.IsContiguous, tensor.Offset, tensor.ByteLength, notes.SharedWith(tensor));
}

/// <summary>What <c>verify</c> finds.</summary>
internal sealed record VerifyDocument(IReadOnlyList<VerifiedFile> Files, FetchedTotals? Fetched = null) : Document("ilgpu-loader/verify/1");

internal sealed record VerifiedFile(string Path, bool Ok, string? Code, string? Message, IReadOnlyList<string> Warnings);

/// <summary>What <c>hash</c> computes.</summary>
internal sealed record HashDocument(IReadOnlyList<HashedFile> Files) : Document("ilgpu-loader/hash/1");

internal sealed record HashedFile(string Path, string? Error, IReadOnlyList<HashedTensor> Tensors);

/// <summary>One hash.</summary>
internal sealed record HashedTensor(string Name, string Dtype, IReadOnlyList<long> Shape, string Sha256);

/// <summary>What <c>load</c> did.</summary>
internal sealed record LoadDocument(
    string Path,
    string Device,
    string Dtype,
    int Tensors,
    long BytesRead,
    long Bytes,
    int Lanes,
    long StagingBytes,
    int? VerifiedTensors,
    int? FiniteTensors,
    double OpenSeconds,
    IReadOnlyList<TimedLoad> Loads,
    long PeakMemoryBytes,
    long? MappedBytes = null) : Document("ilgpu-loader/load/1");

/// <summary>One of the loads; <c>readMode</c> is <c>buffered</c>, <c>direct</c>, or <c>mixed</c> where some bytes came so and some so.</summary>
internal sealed record TimedLoad(
    double Seconds,
    double GigabytesPerSecond,
    double FirstTouchSeconds,
    double ReadSeconds,
    double? HashSeconds,
    double PlaceSeconds,
    string ReadMode);

/// <summary>What <c>synth</c> wrote.</summary>
internal sealed record SynthDocument(string Path, int Tensors, long Bytes, double Seconds) : Document("ilgpu-loader/synth/1");

/// <summary>What <c>devices</c> lists; <c>ilgpu</c> is null where it was not compiled in.</summary>
internal sealed record DevicesDocument(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Ilgpu,
    IReadOnlyList<ListedDevice> Devices,
    IReadOnlyList<string> Problems) : Document("ilgpu-loader/devices/1");

internal sealed record ListedDevice(
    string Id,
    string Kind,
    string Name,
    long TotalMemory,
    long? FreeMemory,
    bool Usable,
    string? Reason,
    string? Driver,
    string? InstructionSet);
