namespace IlgpuLoader.Cli.Output;

/// <summary>What a service answered to <c>health</c>.</summary>
internal sealed record HealthDocument(string Url, bool Ready, bool Healthy, int? StatusCode, string? Status, string? Problem)
    : Document("ilgpu-loader/health-answer/1");
