using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>Reading a map from a file.</content>
public sealed partial class GgufNameMap
{
    private const string Schema = "ilgpu-loader/names/1";
    private const string Format = "names";

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
    /// An unknown property, or one that the transform does not take, is refused.
    /// </para>
    /// <para>
    /// The parts of a list may overlap, and two may be the same: each is made from the GGUF tensor by itself, and a tensor of two
    /// names is how a map says that they are tied.
    /// </para>
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <param name="options">
    /// Choices, of which a file's map has <see cref="GgufNameMapOptions.MaximumFileBytes"/> and <see cref="GgufNameMapOptions.MaximumParts"/>;
    /// null for the defaults.
    /// </param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="IOException">It cannot be read, or is not there.</exception>
    /// <exception cref="InvalidCheckpointException">It is no map; the message names the entry.</exception>
    /// <exception cref="CheckpointLimitException">It is longer, or names more experts, than the options allow.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<GgufNameMap> ReadAsync(string path, GgufNameMapOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new GgufNameMapOptions();
        var source = new LocalFileSource(path);
        byte[] content;
        await using (source.ConfigureAwait(false))
        {
            if (source.Length > options.MaximumFileBytes)
            {
                throw new CheckpointLimitException(
                    "length of a map of names in bytes",
                    source.Length,
                    options.MaximumFileBytes,
                    $"{nameof(GgufNameMapOptions)}.{nameof(GgufNameMapOptions.MaximumFileBytes)}",
                    path,
                    Format);
            }

            content = new byte[source.Length];
            await source.ReadExactlyAsync(0, content, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            // A byte-order mark is not JSON, but editors on Windows write it.
            var json = content is [0xEF, 0xBB, 0xBF, ..] ? content.AsMemory(3) : content;
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return new GgufNameMap(ReadEntries(document.RootElement, path, options.MaximumParts, cancellationToken), options);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException or FormatException)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.NameMapInvalid,
                path,
                $"it is no valid map of names: {Quoted.Plain(exception.Message)}",
                Format,
                innerException: exception);
        }
    }

    private static IEnumerable<NameMapEntry> ReadEntries(JsonElement root, string path, int maximumParts, CancellationToken cancellationToken)
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

        if (root.EnumerateObject().Select(property => property.Name).FirstOrDefault(name => name is not ("schema" or "tensors")) is { } unknown)
        {
            throw new JsonException($"the property {Quoted.Name(unknown)} is not known; there are schema and tensors.");
        }

        // A hundred bytes of the file may be thousands of experts.
        var experts = 0L;
        void AddExperts(long count)
        {
            experts += count;
            CheckParts(experts, maximumParts, path, Format);
        }

        foreach (var entry in tensors.EnumerateObject())
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return new NameMapEntry(entry.Name, ReadTargets(entry.Name, entry.Value, AddExperts));
        }
    }

    private static IEnumerable<NameMapTarget> ReadTargets(string ggufName, JsonElement value, Action<long> addExperts) => value.ValueKind switch
    {
        JsonValueKind.Null => [],
        JsonValueKind.String => [new NameMapTarget(value.GetString()!, WeightTransform.None)],
        JsonValueKind.Object => ReadTarget(ggufName, value, addExperts),
        JsonValueKind.Array when value.GetArrayLength() > 0 =>
            [.. value.EnumerateArray().SelectMany(target => ReadTarget(ggufName, target, addExperts))],
        _ => throw Malformed(ggufName, ExpectedTarget),
    };

    private static IEnumerable<NameMapTarget> ReadTarget(string ggufName, JsonElement value, Action<long> addExperts)
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
            "experts" => (["experts"], numbers => SplitExperts(numbers[0])),
            _ => throw Malformed(
                ggufName, $"the transform {Quoted.Name(transform)} is not known; there are none, unpermute, minus-one, transpose, rows and experts"),
        };
        if (value.EnumerateObject().Select(property => property.Name).FirstOrDefault(property => !IsTaken(property)) is { } unknown)
        {
            throw Malformed(
                ggufName,
                $"the transform {transform} takes no property {Quoted.Name(unknown)}, only {string.Join(", ", ["name", "transform", .. row.Numbers])}");
        }

        try
        {
            return row.Make([.. row.Numbers.Select(number => ReadNumber(ggufName, value, number))]);
        }
        catch (Exception exception) when (exception is ArgumentException or OverflowException)
        {
            throw Malformed(ggufName, exception.Message, exception);
        }

        bool IsTaken(string property) => property is "name" or "transform" || row.Numbers.Contains(property);

        IEnumerable<NameMapTarget> SplitExperts(long count)
        {
            // One entry is held against its own limit first, so that an absurd number is said to be one.
            ArgumentOutOfRangeException.ThrowIfGreaterThan(count, GgufNameMapOptions.DefaultMaximumExperts, "experts");
            addExperts(Math.Max(count, 0));
            return NameMapEntry.SplitExperts(ggufName, name, checked((int)count)).Targets;
        }
    }

    private static long ReadNumber(string ggufName, JsonElement value, string name) =>
        value.TryGetProperty(name, out var number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt64(out var result)
            ? result
            : throw Malformed(ggufName, $"the transform needs the whole number '{name}'");

    private static JsonException Malformed(string ggufName, string problem, Exception? inner = null) =>
        new($"the entry {Quoted.Name(ggufName)}: {problem}.", inner);
}
