using System.Text;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The names and shapes of a real model on both sides, spelled out tensor by tensor (names.zip, see its README).</summary>
public sealed class NameListing
{
    private NameListing(string model)
    {
        Gguf = [.. Lines(model, "gguf.tsv").Select(line => KeyValuePair.Create(line[0], ParseShape(line[1])))];
        Checkpoint = Lines(model, "checkpoint.tsv").ToDictionary(line => line[0], line => ParseShape(line[1]));
        Map = [.. Lines(model, "map.tsv").Select(line => (line[0], line[1], line[2]))];
        using var json = JsonDocument.Parse(GoldenArchive.Read("names", $"{model}/metadata.json"));
        Metadata = json.RootElement.EnumerateObject().ToDictionary(
            entry => entry.Name, object (entry) => entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : entry.Value.GetUInt32());
    }

    public IReadOnlyList<KeyValuePair<string, Shape>> Gguf { get; }

    public IReadOnlyDictionary<string, Shape> Checkpoint { get; }

    public IReadOnlyList<(string Gguf, string Checkpoint, string Transform)> Map { get; }

    public IReadOnlyDictionary<string, object> Metadata { get; }

    public string Architecture => (string)Metadata["general.architecture"];

    public static NameListing Read(string model) => new(model);

    public GgufNameMap BuiltIn() => GgufNameMap.ForArchitecture(Architecture, Metadata);

    private static IEnumerable<string[]> Lines(string model, string file) =>
        Encoding.UTF8.GetString(GoldenArchive.Read("names", $"{model}/{file}")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t'));

    private static Shape ParseShape(string text) => new([.. text.Split(',').Select(long.Parse)]);
}
