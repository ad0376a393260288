using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Formats;

/// <summary>What the JSON of all manifests has in common: a line a tensor, hashes, and how much of it is read.</summary>
internal static class ManifestJson
{
    // The largest header that readers accept names 1.2 million tensors, whose lines here take about 200 bytes each; ten such
    // files together stay below what one array can hold.
    public const long MaximumBytes = 2_000_000_000;
    public const string LimitName = "the number of manifests, one a part of the checkpoint (--include)";

    private const int HashDigits = 64;

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    /// <summary>Writes the content of an object of entries, each in its line, so that manifests can be searched and compared by lines.</summary>
    public static void WriteEntries(Stream output, ImmutableSortedDictionary<string, ManifestEntry> entries)
    {
        var separator = "\n"u8;
        foreach (var (name, entry) in entries)
        {
            output.Write(separator);
            WriteText(output, name);
            output.Write(": "u8);
            WriteEntry(output, entry);
            separator = ",\n"u8;
        }
    }

    /// <summary>Writes a string in its quotes.</summary>
    public static void WriteText(Stream output, string text) =>
        output.Write(Encoding.UTF8.GetBytes($"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\""));

    /// <summary>Reads an object of entries.</summary>
    /// <exception cref="InvalidCheckpointException">An entry is broken; the message names it.</exception>
    public static TensorManifest ReadEntries(string path, JsonElement tensors) =>
        new(tensors.EnumerateObject().Select(entry => KeyValuePair.Create(entry.Name, ParseEntry(path, entry))));

    /// <summary>Reads the SHA-256 that an object has.</summary>
    public static bool TryGetHash(JsonElement element, out string digits)
    {
        digits = element.TryGetProperty("sha256"u8, out var hash) && hash.ValueKind == JsonValueKind.String ? hash.GetString()! : "";
        return IsHash(digits);
    }

    /// <summary>Whether this is a SHA-256 as manifests have it.</summary>
    public static bool IsHash(string digits) => digits.Length == HashDigits && !digits.AsSpan().ContainsAnyExcept(Digits);

    /// <summary>That a manifest is not what it must be.</summary>
    public static InvalidCheckpointException Invalid(string path, string problem, Exception? inner = null, string? tensor = null) =>
        new(CheckpointErrorCode.ManifestInvalid, path, problem, format: "manifest", tensor: tensor, innerException: inner);

    private static void WriteEntry(Stream output, ManifestEntry entry)
    {
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        json.WriteString("dtype"u8, entry.DType.Name);
        json.WriteStartArray("shape"u8);
        foreach (var dimension in entry.Shape)
        {
            json.WriteNumberValue(dimension);
        }

        json.WriteEndArray();
        json.WriteString("sha256"u8, entry.Sha256);
        json.WriteEndObject();
    }

    private static ManifestEntry ParseEntry(string path, JsonProperty entry)
    {
        if (entry.Value.ValueKind == JsonValueKind.Object
            && entry.Value.TryGetProperty("dtype", out var name)
            && name.ValueKind == JsonValueKind.String
            && DType.TryFromName(name.GetString(), out var dtype)
            && entry.Value.TryGetProperty("shape", out var sizes)
            && TryGetShape(sizes, out var shape)
            && TryGetHash(entry.Value, out var digits))
        {
            return new ManifestEntry(dtype, shape, digits);
        }

        throw Invalid(path, "a dtype, a shape of sizes, and a sha256 of 64 lower-case hexadecimal digits were expected.", tensor: entry.Name);
    }

    private static bool TryGetShape(JsonElement sizes, out Shape shape)
    {
        shape = default;
        if (sizes.ValueKind != JsonValueKind.Array || sizes.GetArrayLength() > SafetensorsLimits.DefaultMaximumRank)
        {
            return false;
        }

        var dimensions = new long[sizes.GetArrayLength()];
        long elements = 1;
        for (var i = 0; i < dimensions.Length; i++)
        {
            if (sizes[i].ValueKind != JsonValueKind.Number || !sizes[i].TryGetInt64(out dimensions[i]) || dimensions[i] < 0)
            {
                return false;
            }

            // As a shape multiplies them, from the left.
            if (Math.BigMul(elements, dimensions[i], out elements) != 0 || elements < 0)
            {
                return false;
            }
        }

        shape = new Shape(dimensions);
        return true;
    }
}
