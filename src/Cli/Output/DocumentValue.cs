using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Output;

/// <summary>
/// A value in a document: a number with all digits of its double (of 64-bit integers all of theirs), true or false for BOOL,
/// the strings "NaN", "Infinity" and "-Infinity", which JSON has no numbers for, and [real, imaginary] for complex numbers.
/// </summary>
/// <param name="Value">The value, or a complex number's real part.</param>
/// <param name="Imaginary">A complex number's imaginary part, or null.</param>
[JsonConverter(typeof(Converter))]
internal readonly record struct DocumentValue(StoredValue Value, StoredValue? Imaginary = null)
{
    /// <summary>A number that is computed, not stored.</summary>
    public static DocumentValue? Of(double? number) => number is { } value ? new DocumentValue(new StoredValue(DType.F64, value)) : null;

    /// <summary>A stored value.</summary>
    public static DocumentValue? Of(StoredValue? stored) => stored is { } value ? new DocumentValue(value) : null;

    internal sealed class Converter : JsonConverter<DocumentValue>
    {
        public override DocumentValue Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException("Documents are written, not read.");

        public override void Write(Utf8JsonWriter writer, DocumentValue value, JsonSerializerOptions options)
        {
            if (value.Imaginary is not { } imaginary)
            {
                Write(writer, value.Value);
                return;
            }

            writer.WriteStartArray();
            Write(writer, value.Value);
            Write(writer, imaginary);
            writer.WriteEndArray();
        }

        private static void Write(Utf8JsonWriter writer, StoredValue value)
        {
            if (value.Exact is { } exact)
            {
                writer.WriteRawValue(exact.ToString(CultureInfo.InvariantCulture));
            }
            else if (!double.IsFinite(value.Number))
            {
                writer.WriteStringValue(value.Number.ToString(CultureInfo.InvariantCulture));
            }
            else if (value.DType == DType.BOOL)
            {
                writer.WriteBooleanValue(value.Number != 0);
            }
            else
            {
                writer.WriteNumberValue(value.Number);
            }
        }
    }
}
