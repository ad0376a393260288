using System.Text.Json;

namespace IlgpuLoader.Harness;

/// <summary>What a service says of a model (<c>ilgpu-loader/model/1</c>), as far as it is measured.</summary>
/// <param name="State">What it is doing.</param>
/// <param name="Version">Counts loads and reloads.</param>
/// <param name="Fraction">How much of the load that runs is done, 0 to 1; null while none does.</param>
/// <param name="LoadSeconds">What the last load or reload took; null before the first.</param>
/// <param name="BytesRead">What it read.</param>
/// <param name="Failure">Why the last load ended early; null where it did not.</param>
internal sealed record ServedModel(string State, long Version, double? Fraction, double? LoadSeconds, long BytesRead, string? Failure)
{
    /// <summary>Reads the model's part of a document.</summary>
    public static ServedModel Read(JsonElement model)
    {
        var load = Find(model, "lastLoad");
        return new ServedModel(
            model.GetProperty("state").GetString()!,
            Find(model, "version")?.GetInt64() ?? 0,
            Find(model, "progress")?.GetProperty("fraction").GetDouble(),
            load?.GetProperty("seconds").GetDouble(),
            load?.GetProperty("bytesRead").GetInt64() ?? 0,
            Find(model, "failure")?.GetProperty("message").GetString());
    }

    // What is null is left out.
    private static JsonElement? Find(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value : null;
}
