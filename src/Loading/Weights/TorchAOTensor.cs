using System.Collections.Immutable;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A tensor as torchao's metadata of a safetensors file describes it (torchao/prototype/safetensors, 0.15.0 and later). The entry <c>tensor_names</c> is a list, in JSON, of the model's tensors;
/// under each of these names is an object with <c>_type</c>: <c>Tensor</c> for one that is stored under its own name, or a tensor subclass, of which
/// <c>_tensor_data_names</c> lists the fields that are tensors and <c>_data</c> has the others. The field <c>f</c> of the tensor <c>a.b.weight</c> is stored as
/// <c>a.b._weight_f</c>.
/// </summary>
/// <param name="Name">The name in the model.</param>
/// <param name="Kind">The subclass; null for a plain tensor.</param>
/// <param name="Attributes">The fields that are no tensors.</param>
/// <param name="Parts">The tensors of the file, by the names of their fields; of a plain tensor itself.</param>
internal sealed record TorchAOTensor(
    string Name, string? Kind, IReadOnlyDictionary<string, JsonElement> Attributes, ImmutableArray<TorchAOPart> Parts)
{
    private const string NamesEntry = "tensor_names";
    private const string Plain = "Tensor";

    // What torchao itself puts together again; fields of another class may mean anything.
    private static readonly string[] Kinds =
    [
        "Float8Tensor", "Int4Tensor", "Int4TilePackedTo4dTensor", "IntxUnpackedToInt8Tensor", "Int8Tensor", "Int4PlainInt32Tensor", "MXTensor", "NVFP4Tensor",
        "Int4OpaqueTensor",
    ];

    /// <summary>Reads the metadata of a file.</summary>
    /// <param name="file">The file, opened.</param>
    /// <exception cref="InvalidCheckpointException">There is none of torchao's, or it breaks a rule.</exception>
    /// <exception cref="UnsupportedCheckpointException">A tensor is of a class that is not known.</exception>
    public static ImmutableArray<TorchAOTensor> ReadAll(Checkpoint file)
    {
        if (!file.Metadata.TryGetValue(NamesEntry, out var entry) || entry is not string list)
        {
            throw Invalid(
                file, null, $"its metadata has no entry '{NamesEntry}', which torchao writes from 0.15.0 on: it is no torchao checkpoint, and needs another load strategy");
        }

        var names = Parse(file, list, null);
        if (names.ValueKind != JsonValueKind.Array || names.EnumerateArray().Any(name => name.ValueKind != JsonValueKind.String))
        {
            throw Invalid(file, null, $"the entry '{NamesEntry}' of its metadata is no list of names");
        }

        // A name that is listed twice is no other tensor.
        return [.. names.EnumerateArray().Select(name => name.GetString()!).Distinct(StringComparer.Ordinal).Select(name => Read(file, name))];
    }

    private static TorchAOTensor Read(Checkpoint file, string name)
    {
        if (!file.Metadata.TryGetValue(name, out var entry) || entry is not string text)
        {
            throw Invalid(file, name, $"'{NamesEntry}' lists it, and the metadata does not say what it is");
        }

        var described = Parse(file, text, name);
        if (described.ValueKind != JsonValueKind.Object
            || !described.TryGetProperty("_type", out var type) || type.ValueKind != JsonValueKind.String)
        {
            throw Invalid(file, name, "its metadata has no '_type'");
        }

        var kind = type.GetString()!;
        if (kind == Plain)
        {
            return new TorchAOTensor(name, null, ImmutableDictionary<string, JsonElement>.Empty, [new TorchAOPart("", name)]);
        }

        if (!Kinds.Contains(kind))
        {
            throw new UnsupportedCheckpointException(
                $"tensors of {Quoted.Name(kind)}",
                file.Path,
                $"it is a {Quoted.Name(kind)}, and only {string.Join(", ", Kinds)} and plain tensors are put together again.",
                file.Format,
                name);
        }

        var dot = name.LastIndexOf('.');
        if (dot < 0
            || !described.TryGetProperty("_tensor_data_names", out var fields) || fields.ValueKind != JsonValueKind.Array
            || fields.EnumerateArray().Any(field => field.ValueKind != JsonValueKind.String)
            || !described.TryGetProperty("_data", out var data) || data.ValueKind != JsonValueKind.Object)
        {
            throw Invalid(
                file, name, "a tensor subclass has a name with a dot, a list '_tensor_data_names' and an object '_data', as torchao writes them from 0.15.0 on");
        }

        var prefix = $"{name[..dot]}._{name[(dot + 1)..]}_";
        ImmutableArray<TorchAOPart> parts =
            [.. fields.EnumerateArray().Select(field => field.GetString()!).Distinct(StringComparer.Ordinal).Select(field => new TorchAOPart(field, prefix + field))];
        if (!parts.Any(part => part.Field == WeightComponents.ValuesName))
        {
            throw Invalid(file, name, $"'_tensor_data_names' has no '{WeightComponents.ValuesName}', the quantised values");
        }

        var attributes = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var field in data.EnumerateObject())
        {
            attributes[field.Name] = field.Value;
        }

        return new TorchAOTensor(name, kind, attributes, parts);
    }

    private static JsonElement Parse(Checkpoint file, string text, string? tensor)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.Clone();
        }
        catch (JsonException exception)
        {
            throw Invalid(file, tensor, $"its metadata is no JSON ({Quoted.Plain(exception.Message)})", exception);
        }
    }

    private static InvalidCheckpointException Invalid(Checkpoint file, string? tensor, string problem, Exception? inner = null) =>
        new(CheckpointErrorCode.MetadataInvalid, file.Path, problem + ".", file.Format, tensor: tensor, innerException: inner);
}
