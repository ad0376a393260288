using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace IlgpuLoader.TestKit;

/// <summary>What the golden set <c>gguf</c> says of its files: <c>manifest.json</c>, written by the program that made them with ggml.</summary>
public static class GgufManifest
{
    /// <summary>The golden set's name.</summary>
    public const string Set = "gguf";

    private static readonly Lazy<ImmutableDictionary<string, GgufManifestFile>> Files = new(Read);

    /// <summary>The files, by name.</summary>
    public static IEnumerable<string> FileNames => Files.Value.Keys.Order(StringComparer.Ordinal);

    /// <summary>What is said of one file.</summary>
    public static GgufManifestFile File(string name) => Files.Value[name];

    private static ImmutableDictionary<string, GgufManifestFile> Read()
    {
        using var manifest = JsonDocument.Parse(GoldenArchive.Read(Set, "manifest.json"));
        return manifest.RootElement.GetProperty("files").EnumerateObject()
            .ToImmutableDictionary(file => file.Name, file => file.Value.Deserialize<GgufManifestFile>()!);
    }
}

/// <summary>One file of the manifest.</summary>
/// <param name="Tensors">Its tensors by name.</param>
/// <param name="Metadata">Type and value by key, where the manifest has them; 64-bit numbers are text.</param>
/// <param name="Endian">LITTLE or BIG.</param>
/// <param name="Writer">What wrote the file.</param>
public sealed record GgufManifestFile(
    [property: JsonPropertyName("tensors")] IReadOnlyDictionary<string, GgufManifestTensor> Tensors,
    [property: JsonPropertyName("kv")] IReadOnlyDictionary<string, JsonElement>? Metadata,
    [property: JsonPropertyName("endian")] string Endian,
    [property: JsonPropertyName("writer")] string Writer);

/// <summary>One tensor of the manifest.</summary>
/// <param name="Type">The type as ggml spells it, such as <c>Q4_K</c>.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="TypeId">The number of the type.</param>
/// <param name="Expected">The file of the decoded values in the same set.</param>
public sealed record GgufManifestTensor(
    [property: JsonPropertyName("type")] string Type,
    [property: JsonPropertyName("shape")] IReadOnlyList<long> Shape,
    [property: JsonPropertyName("ggml_type")] int TypeId,
    [property: JsonPropertyName("expected")] string Expected);
