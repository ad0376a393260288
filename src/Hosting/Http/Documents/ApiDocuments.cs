using System.Text.Json.Serialization;

namespace IlgpuLoader.Hosting;

// The JSON documents of the HTTP face. Programs rely on them: fields may be added, but none is renamed or removed without a new number in the schema. Byte counts are numbers, times
// ISO 8601 in UTC, durations seconds; what is not there is left out.

/// <summary>What every document begins with.</summary>
/// <param name="Schema">The document's name and version.</param>
internal abstract record ApiDocument([property: JsonPropertyOrder(-1)] string Schema);

/// <summary>A model as <c>/api/models</c> and the event streams have it.</summary>
internal sealed record ModelDescription(
    string Name,
    string State,
    DateTime Since,
    bool Required,
    bool Available,
    string? Path,
    string Layout,
    string Device,
    string? Format,
    DownloadDescription? Download,
    ProgressDescription? Progress,
    int TensorCount,
    long MemoryBytes,
    IReadOnlyList<DTypeDescription> Dtypes,
    long Version,
    DateTime? LoadedAt,
    LoadDescription? LastLoad,
    FailureDescription? Failure);

internal sealed record ProgressDescription(long BytesRead, long TotalBytes, int TensorsLoaded, int TotalTensors, double Fraction, double BytesPerSecond);

internal sealed record DownloadDescription(int Files, int TotalFiles, long Bytes, long TotalBytes, double Fraction, double BytesPerSecond);

internal sealed record DTypeDescription(string Dtype, int Tensors, long Bytes);

internal sealed record LoadDescription(
    bool IsReload, double Seconds, long BytesRead, double BytesPerSecond, int OldLayers, IReadOnlyList<StageDescription> Stages);

internal sealed record StageDescription(string Name, double Seconds);

internal sealed record FailureDescription(string Code, string Message, DateTime At, int Attempt, DateTime? NextAttemptAt, bool IsReload);

/// <summary>A device that a model is on, or was.</summary>
internal sealed record HostedDeviceDescription(
    string Id, string Kind, string Name, long LiveBytes, long LiveAllocations, long TotalBytes, long FreeBytes);

/// <summary>A page of a model's tensors: <c>total</c> are all, <c>matched</c> those that the filter lets through.</summary>
internal sealed record TensorsDocument(
    string Model, long Version, int Total, int Matched, int Offset, int Limit, IReadOnlyList<TensorDescription> Tensors) : ApiDocument("ilgpu-loader/tensors/1");

internal sealed record TensorDescription(string Name, string Dtype, IReadOnlyList<long> Shape, long Bytes);

/// <summary>An action that was begun; its outcome is the model's status.</summary>
internal sealed record AcceptedDocument(string Model, string Action) : ApiDocument("ilgpu-loader/accepted/1");

/// <summary>Whether the process does its work.</summary>
internal sealed record HealthDocument(string Status, IReadOnlyList<CheckDescription> Checks) : ApiDocument("ilgpu-loader/health/1");

/// <summary>Whether the models are there. What it says, everybody may know: no path, no message.</summary>
internal sealed record ReadyDocument(string Status, IReadOnlyList<CheckDescription> Checks, IReadOnlyList<ReadyModel> Models) : ApiDocument("ilgpu-loader/ready/1");

internal sealed record CheckDescription(string Name, string Status);

internal sealed record ReadyModel(string Name, string State, bool Required, bool Available, double? DownloadPercent, double? Percent, string? Failure);

/// <summary>An error (RFC 9457), with a code for programs.</summary>
internal sealed record ProblemDocument(string Title, int Status, string Detail, string Code);
