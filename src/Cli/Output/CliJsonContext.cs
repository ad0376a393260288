using System.Text.Json.Serialization;

namespace IlgpuLoader.Cli.Output;

/// <summary>Serialisers made at build time: no reflection when the tool starts.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ErrorDocument))]
[JsonSerializable(typeof(InspectDocument))]
[JsonSerializable(typeof(VerifyDocument))]
[JsonSerializable(typeof(AuditDocument))]
[JsonSerializable(typeof(HashDocument))]
[JsonSerializable(typeof(DiffDocument))]
[JsonSerializable(typeof(ShowDocument))]
[JsonSerializable(typeof(ModelConvertDocument))]
[JsonSerializable(typeof(LoadDocument))]
[JsonSerializable(typeof(PlanDocument))]
[JsonSerializable(typeof(ModelDocument))]
[JsonSerializable(typeof(ModelPlanDocument))]
[JsonSerializable(typeof(ModelLoadDocument))]
[JsonSerializable(typeof(BenchDocument))]
[JsonSerializable(typeof(ShardDocument))]
[JsonSerializable(typeof(ShardedLoadDocument))]
[JsonSerializable(typeof(SynthDocument))]
[JsonSerializable(typeof(ConvertDocument))]
[JsonSerializable(typeof(ServeDocument))]
[JsonSerializable(typeof(DevicesDocument))]
[JsonSerializable(typeof(DownloadDocument))]
[JsonSerializable(typeof(CacheDocument))]
[JsonSerializable(typeof(CacheVerifyDocument))]
[JsonSerializable(typeof(CachePruneDocument))]
[JsonSerializable(typeof(HealthDocument))]
[JsonSerializable(typeof(CompletionsDocument))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(double))]
[JsonSerializable(typeof(bool))]
internal sealed partial class CliJsonContext : JsonSerializerContext;
