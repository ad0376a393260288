using System.Text.Json.Serialization;

namespace IlgpuLoader.Hosting;

/// <summary>Serialisers made at build time: a request is answered without reflection. The encoder is the strict one, since names from files end up in a page.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ModelDescription))]
[JsonSerializable(typeof(HostedDeviceDescription[]))]
[JsonSerializable(typeof(TensorsDocument))]
[JsonSerializable(typeof(AcceptedDocument))]
[JsonSerializable(typeof(HealthDocument))]
[JsonSerializable(typeof(ReadyDocument))]
[JsonSerializable(typeof(ProblemDocument))]
internal sealed partial class ApiJsonContext : JsonSerializerContext;
