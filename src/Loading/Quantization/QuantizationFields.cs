using System.Collections.Immutable;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The fields of a configuration's <c>quantization_config</c>, with their types held against what is expected. A field that is null is one that is not there.</summary>
/// <param name="element">The object.</param>
/// <param name="where">Where it is, for messages.</param>
/// <param name="file">The file that it is in, where that is known.</param>
internal readonly struct QuantizationFields(JsonElement element, string where, string? file)
{
    public string? File => file;

    public JsonElement? Find(string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public string? Text(string name) => Find(name) is not { } value ? null : value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(name, "a string", value);

    public bool? Flag(string name) =>
        Find(name) is not { } value ? null : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(name, "true or false", value);

    public int? Number(string name) =>
        Find(name) is not { } value ? null : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : throw Wrong(name, "a whole number", value);

    public ImmutableArray<string>? Texts(string name)
    {
        if (Find(name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
        {
            throw Wrong(name, "a list of strings", value);
        }

        return [.. value.EnumerateArray().Select(item => item.GetString()!)];
    }

    public ImmutableArray<int>? Numbers(string name)
    {
        if (Find(name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out _)))
        {
            throw Wrong(name, "a list of whole numbers", value);
        }

        return [.. value.EnumerateArray().Select(item => item.GetInt32())];
    }

    /// <summary>The fields of an object in it; those of an empty one where there is none.</summary>
    public QuantizationFields Within(string name)
    {
        var value = Find(name) ?? default;
        return value.ValueKind is JsonValueKind.Object or JsonValueKind.Undefined
            ? new QuantizationFields(value, $"{where}.{name}", file)
            : throw Wrong(name, "an object", value);
    }

    public IEnumerable<string> Names()
    {
        // An undefined element enumerates nothing.
        return element.ValueKind == JsonValueKind.Object ? element.EnumerateObject().Select(property => property.Name).ToArray() : [];
    }

    public InvalidCheckpointException Wrong(string name, string expected, JsonElement? actual) => new(
        CheckpointErrorCode.HeaderFieldInvalid,
        file,
        $"{where}.{Quoted.Plain(name)} is {expected}, and {(actual is { } value ? $"is {Quoted.Plain(Shortened(value.GetRawText()))}" : "is not there")}");

    private static string Shortened(string text) => text.Length <= 64 ? text : $"{text[..64]}…";
}
