using System.Buffers;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>Reading and writing rules.</content>
public sealed partial class WeightNameMapper
{
    /// <summary>The default of the longest file, which is read as a whole: ten thousand rules of a hundred bytes, and models come with a few dozen.</summary>
    public const int DefaultMaximumFileBytes = 1 << 20;

    private const string Schema = "ilgpu-loader/name-rules/1";
    private const string Format = "name rules";

    /// <summary>Reads rules from a JSON file.</summary>
    /// <remarks>
    /// The file is <c>{"substring": {FROM: TO}, "prefix": {FROM: TO}, "suffix": {FROM: TO}}</c>, each of which may be missing; rules count in the order in which they are there. <c>null</c> for TO leaves a weight
    /// out. A <c>schema</c>, where there is one, is <c>ilgpu-loader/name-rules/1</c>. Anything else is refused.
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <param name="maximumFileBytes">The longest file that is read.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="IOException">It cannot be read, or is not there.</exception>
    /// <exception cref="InvalidCheckpointException">It has no rules; the message says which entry is wrong, and what was expected.</exception>
    /// <exception cref="CheckpointLimitException">It is longer than allowed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<WeightNameMapper> ReadAsync(
        string path, int maximumFileBytes = DefaultMaximumFileBytes, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfNegative(maximumFileBytes);
        var source = new LocalFileSource(path);
        byte[] content;
        await using (source.ConfigureAwait(false))
        {
            if (source.Length > maximumFileBytes)
            {
                throw new CheckpointLimitException("length of a file of name rules in bytes", source.Length, maximumFileBytes, nameof(maximumFileBytes), path, Format);
            }

            content = new byte[source.Length];
            await source.ReadExactlyAsync(0, content, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            // A byte-order mark is not JSON, but editors on Windows write it.
            var json = content is [0xEF, 0xBB, 0xBF, ..] ? content.AsMemory(3) : content;
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return Read(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.NameMapInvalid, path, $"it has no valid rules for names: {Quoted.Plain(exception.Message)}", Format, innerException: exception);
        }
    }

    /// <summary>Writes the rules to a JSON file, as <see cref="ReadAsync"/> reads it.</summary>
    /// <param name="path">The file; one that is there is replaced when the new one is complete.</param>
    /// <param name="cancellationToken">Cancels the writing.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task WriteAsync(string path, CancellationToken cancellationToken = default)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" });
        await using (writer.ConfigureAwait(false))
        {
            writer.WriteStartObject();
            writer.WriteString("schema", Schema);
            WriteRules(writer, "substring", Substrings);
            WriteRules(writer, "prefix", Prefixes);
            WriteRules(writer, "suffix", Suffixes);
            writer.WriteEndObject();
        }

        buffer.Write("\n"u8);
        await AtomicFile.WriteAllBytesAsync(path, buffer.WrittenMemory, cancellationToken: cancellationToken).ConfigureAwait(false);
    }

    private static void WriteRules(Utf8JsonWriter writer, string kind, IEnumerable<NameRule> rules)
    {
        writer.WriteStartObject(kind);
        foreach (var (from, to) in rules)
        {
            writer.WriteString(from, to);
        }

        writer.WriteEndObject();
    }

    private static WeightNameMapper Read(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new JsonException("a JSON object with 'substring', 'prefix' and 'suffix' was expected.");
        }

        NameRule[] substrings = [], prefixes = [], suffixes = [];
        foreach (var property in root.EnumerateObject())
        {
            switch (property.Name)
            {
                case "schema" when property.Value.ValueKind == JsonValueKind.String && property.Value.GetString() == Schema:
                    break;
                case "schema":
                    throw new JsonException($"the schema '{Schema}' was expected, or none, and it is {property.Value.GetRawText()}.");
                case "substring":
                    substrings = ReadRules(property);
                    break;
                case "prefix":
                    prefixes = ReadRules(property);
                    break;
                case "suffix":
                    suffixes = ReadRules(property);
                    break;
                default:
                    throw new JsonException($"the property {Quoted.Name(property.Name)} is not known; there are schema, substring, prefix and suffix.");
            }
        }

        return new WeightNameMapper(substrings, prefixes, suffixes);
    }

    private static NameRule[] ReadRules(JsonProperty kind) => kind.Value.ValueKind != JsonValueKind.Object
        ? throw new JsonException($"'{kind.Name}' must be an object of strings.")
        :
        [
            .. kind.Value.EnumerateObject().Select(rule => rule.Value.ValueKind switch
            {
                JsonValueKind.String => new NameRule(rule.Name, rule.Value.GetString()),
                JsonValueKind.Null => new NameRule(rule.Name, null),
                _ => throw new JsonException($"the {kind.Name} {Quoted.Name(rule.Name)}: a string was expected, or null."),
            }),
        ];
}
