using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>
/// The record of the types that NumPy lacks, which it saves as bytes without a meaning: <c>{"weight": "BF16"}</c>, by array.
/// </summary>
internal static class NpyDTypes
{
    /// <summary>Reads a record.</summary>
    /// <param name="json">Its bytes.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="format">The container format.</param>
    /// <exception cref="InvalidCheckpointException">It is no such record.</exception>
    public static Dictionary<string, DType> Read(ReadOnlySpan<byte> json, string path, string format)
    {
        var types = new Dictionary<string, DType>();
        try
        {
            var reader = new Utf8JsonReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                throw Invalid("is no JSON object");
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var array = reader.GetString()!;
                _ = reader.Read();
                if (reader.TokenType != JsonTokenType.String || !DType.TryFromName(reader.GetString(), out var dtype) || !NpyType.CanHold(dtype))
                {
                    throw new InvalidCheckpointException(
                        CheckpointErrorCode.UnknownDType,
                        path,
                        $"{NumpyConstants.DTypesEntry} says {Quoted.Name(Encoding.UTF8.GetString(reader.ValueSpan))}, which is no type that an array can have; expected one such as \"BF16\".",
                        format,
                        tensor: array);
                }

                if (!types.TryAdd(array, dtype))
                {
                    throw Invalid($"names {Quoted.Name(array)} twice");
                }
            }

            // Nothing but white space may follow; the reader says so.
            _ = reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // The second is how a name with half of a surrogate pair shows.
            throw Invalid($"is not valid JSON ({Quoted.Plain(exception.Message)})", exception);
        }

        return types;

        InvalidCheckpointException Invalid(string problem, Exception? inner = null) => new(
            CheckpointErrorCode.MetadataInvalid,
            path,
            $"{NumpyConstants.DTypesEntry} {problem}; it must tell the types that NumPy lacks by array: {{\"weight\": \"BF16\"}}.",
            format,
            innerException: inner);
    }

    /// <summary>Makes the record of some tensors.</summary>
    /// <param name="tensors">Name and type; those that NumPy has are left out.</param>
    /// <returns>Its bytes; null where NumPy has all types.</returns>
    public static byte[]? Write(IEnumerable<(string Name, DType DType)> tensors)
    {
        (string Name, DType DType)[] unknown = [.. tensors.Where(tensor => !NpyType.IsKnown(tensor.DType))];
        if (unknown.Length == 0)
        {
            return null;
        }

        var output = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            foreach (var (name, dtype) in unknown)
            {
                json.WriteString(name, dtype.Name);
            }

            json.WriteEndObject();
        }

        return output.WrittenMemory.ToArray();
    }
}
