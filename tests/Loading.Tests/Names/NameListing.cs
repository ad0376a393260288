using System.Text;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// The names and shapes of a published model on both sides, reconstructed from its configuration and spelled out tensor by tensor
/// (names.zip; its README says how, and what of it was held against published files).
/// </summary>
public sealed class NameListing
{
    private NameListing(string model)
    {
        Gguf = [.. Lines(model, "gguf.tsv").Select(line => KeyValuePair.Create(line[0], ParseShape(line[1])))];
        Checkpoint = Lines(model, "checkpoint.tsv").ToDictionary(line => line[0], line => ParseShape(line[1]));
        Map = [.. Lines(model, "map.tsv").Select(line => (line[0], line[1], line[2]))];
        Metadata = ReadObject(model, "metadata.json");
        Configuration = ReadObject(model, "config.json");
    }

    public IReadOnlyList<KeyValuePair<string, Shape>> Gguf { get; }

    public IReadOnlyDictionary<string, Shape> Checkpoint { get; }

    public IReadOnlyList<(string Gguf, string Checkpoint, string Transform)> Map { get; }

    public IReadOnlyDictionary<string, object> Metadata { get; }

    /// <summary>The fields of the published config.json that the listing was reconstructed from.</summary>
    public IReadOnlyDictionary<string, object> Configuration { get; }

    public string Architecture => (string)Metadata["general.architecture"];

    public static NameListing Read(string model) => new(model);

    public GgufNameMap BuiltIn() => GgufNameMap.ForArchitecture(Architecture, Metadata);

    private static IEnumerable<string[]> Lines(string model, string file) =>
        Encoding.UTF8.GetString(GoldenArchive.Read("names", $"{model}/{file}")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t'));

    private static Dictionary<string, object> ReadObject(string model, string file)
    {
        using var json = JsonDocument.Parse(GoldenArchive.Read("names", $"{model}/{file}"));
        return json.RootElement.EnumerateObject().ToDictionary(entry => entry.Name, object (entry) => entry.Value.ValueKind switch
        {
            JsonValueKind.String => entry.Value.GetString()!,
            JsonValueKind.True or JsonValueKind.False => entry.Value.GetBoolean(),
            _ => entry.Value.GetUInt32(),
        });
    }

    private static Shape ParseShape(string text) => new([.. text.Split(',').Select(long.Parse)]);
}
