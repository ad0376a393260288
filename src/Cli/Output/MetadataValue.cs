using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Serialization;
using IlgpuLoader.Formats.Gguf;

namespace IlgpuLoader.Cli.Output;

/// <summary>
/// A value of a checkpoint's metadata in a document: a string, a number with all its digits, true or false, or an array of
/// these; NaN and the infinities are strings, which JSON has no numbers for, and so are complex numbers and bytes, which are
/// hexadecimal. Python's None is null. A long array is an object with its type, its
/// count and its first elements unless all of it is asked for.
/// </summary>
/// <param name="Value">The value as the reader gives it.</param>
/// <param name="IsFull">Whether all elements are written however many there are.</param>
[JsonConverter(typeof(Converter))]
internal readonly record struct MetadataValue(object Value, bool IsFull)
{
    // A vocabulary has hundreds of thousands of elements; everything else in a header has a few, or one a layer.
    private const int LongestWhole = 256;
    private const int FirstElements = 8;

    // As many bytes as a hash has.
    private const int FirstBytes = 32;

    /// <summary>The value in one line of text, its array cut after the first elements unless all are asked for.</summary>
    public string ToText()
    {
        var isFull = IsFull;
        return Value switch
        {
            GgufArray array => $"{array.ElementType}[{array.Count}] {Elements(array)}",
            IReadOnlyList<object> list => $"[{Elements(list)}]" + (isFull || list.Count <= FirstElements ? "" : $" ({Sizes.Count(list.Count)} values)"),
            byte[] bytes when !isFull && bytes.Length > FirstBytes => $"{Scalar(bytes[..FirstBytes])}… ({bytes.Length} bytes)",
            var value => Scalar(value),
        };

        // Tokens may be empty, blank or have a comma in them.
        string Elements(IReadOnlyList<object> elements) =>
            string.Join(
                ", ",
                (isFull ? elements : elements.Take(FirstElements))
                    .Select(element => element is string text ? $"'{text}'" : new MetadataValue(element, isFull).ToText()))
            + (isFull || elements.Count <= FirstElements ? "" : ", …");
    }

    private static string Scalar(object value) => value switch
    {
        true => "true",
        false => "false",
        DBNull => "None",
        byte[] bytes => $"0x{Convert.ToHexStringLower(bytes)}",
        Complex complex => string.Create(CultureInfo.InvariantCulture, $"{complex.Real}{(complex.Imaginary < 0 || double.IsNegative(complex.Imaginary) ? "" : "+")}{complex.Imaginary}j"),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    internal sealed class Converter : JsonConverter<MetadataValue>
    {
        public override MetadataValue Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException("Documents are written, not read.");

        public override void Write(Utf8JsonWriter writer, MetadataValue value, JsonSerializerOptions options) => Write(writer, value.Value, value.IsFull);

        private static void Write(Utf8JsonWriter writer, object value, bool isFull)
        {
            switch (value)
            {
                case GgufArray array when isFull || array.Count <= LongestWhole:
                    WriteElements(writer, array, isFull);
                    break;
                case GgufArray array:
                    writer.WriteStartObject();
                    writer.WriteString("type"u8, array.ElementType.ToString());
                    writer.WriteNumber("count"u8, array.Count);
                    writer.WritePropertyName("first"u8);
                    WriteElements(writer, array.Take(FirstElements), isFull);
                    writer.WriteEndObject();
                    break;
                case IReadOnlyList<object> list when isFull || list.Count <= LongestWhole:
                    WriteElements(writer, list, isFull);
                    break;
                case IReadOnlyList<object> list:
                    writer.WriteStartObject();
                    writer.WriteString("type"u8, "list"u8);
                    writer.WriteNumber("count"u8, list.Count);
                    writer.WritePropertyName("first"u8);
                    WriteElements(writer, list.Take(FirstElements), isFull);
                    writer.WriteEndObject();
                    break;
                case DBNull:
                    writer.WriteNullValue();
                    break;
                case bool truth:
                    writer.WriteBooleanValue(truth);
                    break;
                case float number when float.IsFinite(number):
                    writer.WriteNumberValue(number);
                    break;
                case double number when double.IsFinite(number):
                    writer.WriteNumberValue(number);
                    break;
                case byte or sbyte or ushort or short or uint or int or ulong or long or BigInteger:
                    writer.WriteRawValue(Scalar(value));
                    break;
                default:
                    writer.WriteStringValue(Scalar(value));
                    break;
            }
        }

        private static void WriteElements(Utf8JsonWriter writer, IEnumerable<object> elements, bool isFull)
        {
            writer.WriteStartArray();
            foreach (var element in elements)
            {
                Write(writer, element, isFull);
            }

            writer.WriteEndArray();
        }
    }
}
