using System.Buffers;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Sets the dtype that a model's configuration names to the one its weights have now: loaders convert to what it says, and one
/// that still said bfloat16 would undo the conversion. All other bytes stay as they are.
/// </summary>
internal static class ConfigDType
{
    /// <summary>
    /// Replaces the values of <c>torch_dtype</c> and <c>dtype</c>, also those of parts of a model (<c>text_config</c>), where
    /// they name a float; what quantisation says of itself is left alone.
    /// </summary>
    /// <param name="config">The file's bytes.</param>
    /// <param name="dtype">
    /// The weights' dtype. 8-bit floats change nothing, since no model computes in them and loaders take the field for the
    /// dtype of activations.
    /// </param>
    /// <returns>The bytes with other values, or the same array where there is nothing to replace or the file is no JSON.</returns>
    public static byte[] Replace(byte[] config, DType dtype)
    {
        var name = NameOf(dtype);
        if (name.IsEmpty)
        {
            return config;
        }

        try
        {
            return Replace(config, name);
        }
        catch (JsonException)
        {
            // Not this class's to judge: opening the checkpoint has warned that it cannot be read.
            return config;
        }
    }

    private static byte[] Replace(byte[] config, ReadOnlySpan<byte> name)
    {
        ReadOnlySpan<byte> byteOrderMark = [0xEF, 0xBB, 0xBF];
        var start = config.AsSpan().StartsWith(byteOrderMark) ? byteOrderMark.Length : 0;
        var output = new ArrayBufferWriter<byte>(config.Length + 64);
        var copied = 0;
        var reader = new Utf8JsonReader(config.AsSpan(start), new JsonReaderOptions { MaxDepth = 128 });
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName || reader.ValueIsEscaped)
            {
                continue;
            }

            if (reader.ValueTextEquals("quantization_config"u8))
            {
                reader.Skip();
            }
            else if ((reader.ValueTextEquals("torch_dtype"u8) || reader.ValueTextEquals("dtype"u8)) && reader.Read() && NamesFloat(ref reader))
            {
                // Behind the quotation mark that begins the value, and before the one that ends it.
                var value = start + checked((int)reader.TokenStartIndex) + 1;
                output.Write(config.AsSpan(copied..value));
                output.Write(name);
                copied = value + reader.ValueSpan.Length;
            }
        }

        if (copied == 0)
        {
            return config;
        }

        output.Write(config.AsSpan(copied..));
        return output.WrittenSpan.ToArray();
    }

    private static bool NamesFloat(ref Utf8JsonReader reader) =>
        reader.TokenType == JsonTokenType.String
        && !reader.ValueIsEscaped
        && (reader.ValueTextEquals("float32"u8)
            || reader.ValueTextEquals("float16"u8)
            || reader.ValueTextEquals("bfloat16"u8)
            || reader.ValueTextEquals("float64"u8));

    private static ReadOnlySpan<byte> NameOf(DType dtype) => dtype switch
    {
        DType.F32 => "float32"u8,
        DType.F16 => "float16"u8,
        DType.BF16 => "bfloat16"u8,
        DType.F64 => "float64"u8,
        _ => [],
    };
}
