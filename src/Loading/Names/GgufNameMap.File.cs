using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>Reading a map from a file.</content>
public sealed partial class GgufNameMap
{
    private const string Schema = "ilgpu-loader/names/1";

    // Two hundred bytes for each of the 1.2 million tensors that the largest safetensors header names are far more than this;
    // such a map has placeholders, and takes a few kilobytes.
    private const long MaximumFileBytes = 64L << 20;

    private const string ExpectedTarget =
        "a checkpoint name was expected, or null, or an object or a list of objects with 'name' and 'transform'";

    /// <summary>Reads a map of a caller's own from a JSON file.</summary>
    /// <remarks>
    /// <para>
    /// The file is <c>{"schema": "ilgpu-loader/names/1", "tensors": {GGUF NAME: TARGET}}</c>. A target is a checkpoint name; or
    /// <c>{"name": NAME, "transform": TRANSFORM}</c> with the numbers that the transform takes; or a list of such objects, for a GGUF
    /// tensor that holds several; or <c>null</c>, for one that is known and left out. Names may have the placeholders of
    /// <see cref="NameMapEntry"/>.
    /// </para>
    /// <para>
    /// Transforms: <c>none</c>; <c>unpermute</c> with <c>heads</c>; <c>minus-one</c>; <c>transpose</c>; <c>rows</c> with <c>start</c> and
    /// <c>count</c>; <c>experts</c> with <c>experts</c>, how many the GGUF tensor holds, and <c>{expert}</c> in the name.
    /// </para>
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="IOException">It cannot be read, or is not there.</exception>
    /// <exception cref="InvalidCheckpointException">It is no map; the message names the entry.</exception>
    /// <exception cref="CheckpointLimitException">It is larger than any map.</exception>
    public static async Task<GgufNameMap> ReadAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var source = new LocalFileSource(path);
        byte[] content;
        await using (source.ConfigureAwait(false))
        {
            if (source.Length > MaximumFileBytes)
            {
                throw new CheckpointLimitException(
                    "length of a map of names", source.Length, MaximumFileBytes, "the number of maps, each for a part of the names", path);
            }

            content = new byte[source.Length];
            await source.ReadExactlyAsync(0, content, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            // A byte-order mark is not JSON, but editors on Windows write it.
            var json = content is [0xEF, 0xBB, 0xBF, ..] ? content.AsMemory(3) : content;
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return new GgufNameMap(ReadEntries(document.RootElement));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException or FormatException)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.NameMapInvalid,
                path,
                $"it is no valid map of names: {Quoted.Plain(exception.Message)}",
                "names",
                innerException: exception);
        }
    }

    private static IEnumerable<NameMapEntry> ReadEntries(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("schema", out var schema)
            || schema.ValueKind != JsonValueKind.String
            || schema.GetString() != Schema
            || !root.TryGetProperty("tensors", out var tensors)
            || tensors.ValueKind != JsonValueKind.Object)
        {
            throw new JsonException($"a JSON object with the schema '{Schema}' and the object 'tensors' was expected.");
        }

        foreach (var entry in tensors.EnumerateObject())
        {
            yield return new NameMapEntry(entry.Name, ReadTargets(entry.Name, entry.Value));
        }
    }

    private static IEnumerable<NameMapTarget> ReadTargets(string ggufName, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => [],
        JsonValueKind.String => [new NameMapTarget(value.GetString()!, WeightTransform.None)],
        JsonValueKind.Object => ReadTarget(ggufName, value),
        JsonValueKind.Array when value.GetArrayLength() > 0 => [.. value.EnumerateArray().SelectMany(target => ReadTarget(ggufName, target))],
        _ => throw Malformed(ggufName, ExpectedTarget),
    };

    private static IEnumerable<NameMapTarget> ReadTarget(string ggufName, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty("name", out var text) || text.ValueKind != JsonValueKind.String)
        {
            throw Malformed(ggufName, ExpectedTarget);
        }

        var name = text.GetString()!;
        var transform = "none";
        if (value.TryGetProperty("transform", out var kind))
        {
            transform = kind.ValueKind == JsonValueKind.String ? kind.GetString()! : throw Malformed(ggufName, "'transform' is no string");
        }

        (string[] Numbers, Func<long[], IEnumerable<NameMapTarget>> Make) row = transform switch
        {
            "none" => ([], _ => [new NameMapTarget(name, WeightTransform.None)]),
            "minus-one" => ([], _ => [new NameMapTarget(name, WeightTransform.MinusOne)]),
            "transpose" => ([], _ => [new NameMapTarget(name, WeightTransform.Transpose)]),
            "unpermute" => (["heads"], numbers => [new NameMapTarget(name, WeightTransform.Unpermute(numbers[0]))]),
            "rows" => (["start", "count"], numbers => [new NameMapTarget(name, WeightTransform.Rows(numbers[0], numbers[1]))]),
            "experts" => (["experts"], numbers => NameMapEntry.SplitExperts(ggufName, name, checked((int)numbers[0])).Targets),
            _ => throw Malformed(
                ggufName, $"the transform {Quoted.Name(transform)} is not known; there are none, unpermute, minus-one, transpose, rows and experts"),
        };
        try
        {
            return row.Make([.. row.Numbers.Select(number => ReadNumber(ggufName, value, number))]);
        }
        catch (Exception exception) when (exception is ArgumentException or OverflowException)
        {
            throw Malformed(ggufName, exception.Message, exception);
        }
    }

    private static long ReadNumber(string ggufName, JsonElement value, string name) =>
        value.TryGetProperty(name, out var number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt64(out var result)
            ? result
            : throw Malformed(ggufName, $"the transform needs the whole number '{name}'");

    private static JsonException Malformed(string ggufName, string problem, Exception? inner = null) =>
        new($"the entry {Quoted.Name(ggufName)}: {problem}.", inner);
}
