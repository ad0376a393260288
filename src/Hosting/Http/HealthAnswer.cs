namespace IlgpuLoader.Hosting;

/// <summary>What a service said when it was asked how it is. Immutable.</summary>
/// <param name="Url">The address that was asked.</param>
/// <param name="IsHealthy">Whether it answered, with a status of success.</param>
/// <param name="StatusCode">The HTTP status; null where there was no answer.</param>
/// <param name="Status">What its document has as <c>status</c>, such as <c>Healthy</c>; null where it has none.</param>
/// <param name="Problem">Why there was no answer; null where there was one.</param>
public sealed record HealthAnswer(string Url, bool IsHealthy, int? StatusCode, string? Status, string? Problem);
