using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What the tensors of a file cannot say of a state: dtypes that safetensors has no name for, strides, what shared one memory, and whether and by which methods the weights were processed. Kept in the
/// files' metadata under <see cref="MetadataKey"/> and the part's number, as JSON: each part says it of its own tensors. Immutable.
/// </summary>
internal sealed record StateLayout
{
    /// <summary>The key in a file's metadata, before the number of its part: equal keys of several files would hide one another.</summary>
    public const string MetadataKey = "ilgpu-loader/state/";

    private const string Schema = "ilgpu-loader/state/1";

    /// <summary>A layout that says nothing.</summary>
    public static StateLayout Empty { get; } = new();

    /// <summary>Memories of which tensors are views.</summary>
    public ImmutableArray<RestoredMemory> Memories { get; init; } = [];

    /// <summary>Tensors that lie side by side, and that the file has as bytes; by name.</summary>
    public ImmutableDictionary<string, RestoredView> Stored { get; init; } = ImmutableDictionary<string, RestoredView>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>The dtype that the model computes with, where its weights were processed; else null.</summary>
    public DType? ProcessedFor { get; init; }

    /// <summary>The class of the quantisation method of each module that has one; null where the files do not say.</summary>
    public ImmutableSortedDictionary<string, string>? Methods { get; init; }

    /// <summary>Whether there is nothing to say.</summary>
    public bool IsEmpty => Memories.IsEmpty && Stored.IsEmpty && ProcessedFor is null && Methods is null;

    /// <summary>What a checkpoint's files say together.</summary>
    /// <exception cref="InvalidCheckpointException">An entry is not what it must be, or two say different things of a tensor.</exception>
    public static StateLayout Read(Checkpoint checkpoint)
    {
        var layout = Empty;
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (key, value) in checkpoint.Metadata.Where(entry => entry.Key.StartsWith(MetadataKey, StringComparison.Ordinal)).OrderBy(entry => entry.Key, NaturalOrder.Instance))
        {
            StateLayout part;
            try
            {
                using var document = JsonDocument.Parse((string)value, new JsonDocumentOptions { AllowDuplicateProperties = false });
                part = Parse(document.RootElement);
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException or KeyNotFoundException or OverflowException or ArgumentException)
            {
                throw Invalid(checkpoint, $"the metadata entry {Quoted.Name(key)} cannot be understood: {Quoted.Plain(exception.Message)}", null, exception);
            }

            layout = new StateLayout
            {
                Memories = layout.Memories.AddRange(part.Memories),
                Stored = layout.Stored.SetItems(part.Stored),
                ProcessedFor = part.ProcessedFor ?? layout.ProcessedFor,
                Methods = part.Methods ?? layout.Methods,
            };
            foreach (var view in part.Memories.SelectMany(memory => memory.Views).Concat(part.Stored.Values))
            {
                if (!names.Add(view.Name))
                {
                    throw Invalid(checkpoint, "the metadata say twice how it lies in memory", view.Name, null);
                }
            }
        }

        foreach (var memory in layout.Memories)
        {
            Check(checkpoint, memory);
        }

        foreach (var view in layout.Stored.Values)
        {
            CheckStored(checkpoint, view, isRequired: true);
        }

        return layout;
    }

    /// <summary>The text of the metadata entry.</summary>
    public string Write()
    {
        var output = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("schema"u8, Schema);
            json.WriteStartArray("memories"u8);
            foreach (var memory in Memories)
            {
                json.WriteStartObject();
                json.WriteNumber("bytes"u8, memory.ByteLength);
                WriteViews(json, memory.Views);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            WriteViews(json, Stored.Values.OrderBy(view => view.Name, StringComparer.Ordinal));
            if (ProcessedFor is { } dtype)
            {
                json.WriteString("processed_for"u8, dtype.Name);
            }

            if (Methods is not null)
            {
                json.WriteStartObject("methods"u8);
                foreach (var (module, method) in Methods)
                {
                    json.WriteString(module, method);
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static void WriteViews(Utf8JsonWriter json, IEnumerable<RestoredView> views)
    {
        json.WriteStartObject("tensors"u8);
        foreach (var view in views)
        {
            json.WriteStartObject(view.Name);
            json.WriteString("dtype"u8, view.DType.Name);
            WriteNumbers(json, "shape"u8, view.Shape.Dimensions);
            if (!view.Strides.IsDefault)
            {
                WriteNumbers(json, "strides"u8, view.Strides.AsSpan());
            }

            if (view.ByteOffset != 0)
            {
                json.WriteNumber("offset"u8, view.ByteOffset);
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteNumbers(Utf8JsonWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }

    private static StateLayout Parse(JsonElement root)
    {
        if (root.GetProperty("schema").GetString() != Schema)
        {
            throw new FormatException($"its schema is not {Schema}");
        }

        return new StateLayout
        {
            Memories = [.. root.GetProperty("memories").EnumerateArray().Select(memory => new RestoredMemory(Size(memory.GetProperty("bytes")), [.. ParseViews(memory)]))],
            Stored = ParseViews(root).ToImmutableDictionary(view => view.Name, StringComparer.Ordinal),
            ProcessedFor = root.TryGetProperty("processed_for", out var dtype) ? ParseDType(dtype) : null,
            Methods = root.TryGetProperty("methods", out var methods)
                ? methods.EnumerateObject().ToImmutableSortedDictionary(method => method.Name, method => method.Value.GetString() ?? throw new FormatException("a method has no name"), StringComparer.Ordinal)
                : null,
        };
    }

    private static IEnumerable<RestoredView> ParseViews(JsonElement parent) => parent.GetProperty("tensors").EnumerateObject().Select(entry => new RestoredView(
        entry.Name,
        ParseDType(entry.Value.GetProperty("dtype")),
        new Shape(Sizes(entry.Value.GetProperty("shape"))),
        entry.Value.TryGetProperty("strides", out var strides) ? [.. Sizes(strides)] : default,
        entry.Value.TryGetProperty("offset", out var offset) ? Size(offset) : 0));

    private static DType ParseDType(JsonElement name) =>
        DType.TryFromName(name.GetString(), out var dtype) ? dtype : throw new FormatException($"{Quoted.Name(name.GetString() ?? "null")} is no dtype");

    private static long[] Sizes(JsonElement numbers) =>
        numbers.GetArrayLength() <= SafetensorsLimits.DefaultMaximumRank
            ? [.. numbers.EnumerateArray().Select(Size)]
            : throw new FormatException($"{numbers.GetArrayLength()} dimensions are more than {SafetensorsLimits.DefaultMaximumRank}");

    private static long Size(JsonElement number) => number.GetInt64() is >= 0 and var size ? size : throw new FormatException($"{number.GetInt64()} is no size");

    // Tried without storage, so that nothing is allocated for what cannot be.
    private static void Check(Checkpoint checkpoint, RestoredMemory memory)
    {
        using var outline = MetaDevice.Shared.Allocate(memory.ByteLength);
        var ranges = new List<(RestoredView View, ByteRange Range, bool IsContiguous, bool IsStored)>();
        foreach (var view in memory.Views)
        {
            try
            {
                using var tensor = new Tensor(outline, view.DType, view.Shape, view.Strides, view.ByteOffset);
                ranges.Add((view, ByteRange.Of(tensor), tensor.IsContiguous, CheckStored(checkpoint, view, isRequired: false)));
            }
            catch (Exception exception) when (exception is ArgumentException or OverflowException)
            {
                throw Invalid(checkpoint, $"the metadata say that it lies where it cannot: {exception.Message}", view.Name, exception);
            }
        }

        (ByteRange Range, bool IsContiguous)[] stored = [.. ranges.Where(entry => entry.IsStored).Select(entry => (entry.Range, entry.IsContiguous))];
        if (stored.Length == 0)
        {
            throw Invalid(checkpoint, "the metadata describe a memory, and none of its tensors is in the files", memory.Views.FirstOrDefault()?.Name, null);
        }

        // A save leaves out what another tensor covers, and nothing else: the rest would come back as zeros.
        if (ranges.FirstOrDefault(entry => !entry.IsStored && !stored.Any(other => other.IsContiguous && other.Range.Covers(entry.Range))) is { View: { } nowhere })
        {
            throw Invalid(checkpoint, "the metadata describe it, and its bytes are in no tensor of the files", nowhere.Name, null);
        }

        // A memory is as large as what lies in it: no more is allocated than the tensors reach.
        var end = ranges.Max(entry => entry.Range.End);
        if (end != memory.ByteLength)
        {
            throw Invalid(checkpoint, $"the metadata describe a memory of {memory.ByteLength} bytes, and its tensors end after {end}", memory.Views[0].Name, null);
        }
    }

    // What is in the file has the dtype and shape, or as many bytes.
    private static bool CheckStored(Checkpoint checkpoint, RestoredView view, bool isRequired)
    {
        if (!checkpoint.TryGetTensor(view.Name, out var stored))
        {
            return isRequired ? throw Invalid(checkpoint, "the metadata describe it, and it is not in the files", view.Name, null) : false;
        }

        if (stored.TiedTo is { } other)
        {
            throw Invalid(checkpoint, $"the metadata describe it, and tie it to {Quoted.Name(other)} too", view.Name, null);
        }

        var isSame = stored.DType == view.DType && stored.Shape == view.Shape;
        return isSame || (stored.DType == DType.U8 && stored.Shape.Rank == 1 && view.DType.FillsBytes(view.Shape.ElementCount) && stored.Shape[0] == view.DType.ByteCount(view.Shape.ElementCount))
            ? true
            : throw Invalid(checkpoint, $"it is {stored.DType.Name} {stored.Shape}, and the metadata say {view.DType.Name} {view.Shape}", view.Name, null);
    }

    private static InvalidCheckpointException Invalid(Checkpoint checkpoint, string problem, string? tensor, Exception? inner) => new(
        CheckpointErrorCode.MetadataInvalid, checkpoint.Path, $"{problem}. Save the state again.", SafetensorsConstants.Format, tensor: tensor, innerException: inner);
}
