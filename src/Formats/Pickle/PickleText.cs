using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// The ways in which pickles write text. Escapes take a buffer as long as what is unescaped, which callers count before.
/// </summary>
internal static class PickleText
{
    /// <summary>
    /// UTF-8 in which Python also writes halves of surrogate pairs (its error handler <c>surrogatepass</c>); such a half comes
    /// back as it is.
    /// </summary>
    /// <returns>The text; null where it is none.</returns>
    public static string? FromUtf8(ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            return Encoding.UTF8.GetString(bytes);
        }

        var length = 0;
        for (var rest = bytes; !rest.IsEmpty;)
        {
            var consumed = Next(rest, out var units);
            if (consumed == 0)
            {
                return null;
            }

            length += units;
            rest = rest[consumed..];
        }

        return string.Create(length, bytes, static (text, bytes) =>
        {
            while (!bytes.IsEmpty)
            {
                var consumed = Next(bytes, out var units);
                if (IsSurrogate(bytes))
                {
                    text[0] = (char)(((bytes[0] & 0x0f) << 12) | ((bytes[1] & 0x3f) << 6) | (bytes[2] & 0x3f));
                }
                else
                {
                    _ = Rune.DecodeFromUtf8(bytes, out var rune, out _);
                    _ = rune.EncodeToUtf16(text);
                }

                text = text[units..];
                bytes = bytes[consumed..];
            }
        });
    }

    /// <summary>
    /// A <c>str</c> of Python 2, which is bytes. torch reads it as UTF-8 (torch.load passes <c>encoding='utf-8'</c>) and stops where
    /// it is none; raw data of NumPy's arrays come that way too, so bytes stay bytes there. Where such data happen to be UTF-8,
    /// encoding the text gives them back exactly.
    /// </summary>
    /// <returns>Text, or a new array of bytes.</returns>
    public static object FromPython2(ReadOnlySpan<byte> bytes) =>
        Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : bytes.ToArray();

    /// <summary>Text of Python's <c>raw-unicode-escape</c>: Latin-1, and <c>\u</c> and <c>\U</c> with 4 and 8 hexadecimal digits.</summary>
    /// <returns>The text; null where digits are missing or name no character.</returns>
    public static string? FromRawUnicodeEscape(ReadOnlySpan<byte> bytes)
    {
        if (!bytes.Contains((byte)'\\'))
        {
            return Encoding.Latin1.GetString(bytes);
        }

        // An escape of six bytes gives one unit, one of ten at most two.
        var buffer = new char[bytes.Length];
        var length = UnescapeRawUnicode(bytes, buffer);
        return length < 0 ? null : new string(buffer, 0, length);
    }

    /// <summary>The bytes of a literal in single or double quotes, as Python 2's <c>repr</c> writes a <c>str</c>.</summary>
    /// <returns>Text, or a new array of bytes, as of <see cref="FromPython2"/>; null where the literal is not well-formed.</returns>
    public static object? FromLiteral(ReadOnlySpan<byte> literal)
    {
        if (literal.Length < 2 || literal[0] is not ((byte)'\'' or (byte)'"') || literal[^1] != literal[0])
        {
            return null;
        }

        var content = literal[1..^1];
        if (!content.Contains((byte)'\\'))
        {
            return FromPython2(content);
        }

        var buffer = new byte[content.Length];
        var length = Unescape(content, buffer);
        return length < 0 ? null : FromPython2(buffer.AsSpan(0, length));
    }

    private static bool IsSurrogate(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= 3 && bytes[0] == 0xed && bytes[1] is >= 0xa0 and <= 0xbf && bytes[2] is >= 0x80 and <= 0xbf;

    // How many bytes the next character has, 0 where there is none, and how many UTF-16 units it takes.
    private static int Next(ReadOnlySpan<byte> bytes, out int units)
    {
        units = 1;
        if (IsSurrogate(bytes))
        {
            return 3;
        }

        if (Rune.DecodeFromUtf8(bytes, out var rune, out var consumed) != OperationStatus.Done)
        {
            return 0;
        }

        units = rune.Utf16SequenceLength;
        return consumed;
    }

    private static int UnescapeRawUnicode(ReadOnlySpan<byte> bytes, Span<char> text)
    {
        var length = 0;
        for (var position = 0; position < bytes.Length;)
        {
            var current = bytes[position++];
            text[length++] = (char)current;
            if (current != '\\' || position == bytes.Length)
            {
                continue;
            }

            // A backslash takes what follows with it: of two, the second escapes nothing.
            var kind = bytes[position++];
            var digits = kind switch { (byte)'u' => 4, (byte)'U' => 8, _ => 0 };
            if (digits == 0)
            {
                text[length++] = (char)kind;
                continue;
            }

            var value = Hexadecimal(bytes[position..], digits);
            if (value is < 0 or > 0x10ffff)
            {
                return -1;
            }

            position += digits;
            length += Encode((int)value, text[(length - 1)..]) - 1;
        }

        return length;
    }

    private static int Encode(int value, Span<char> text)
    {
        if (Rune.TryCreate(value, out var rune))
        {
            return rune.EncodeToUtf16(text);
        }

        text[0] = (char)value;
        return 1;
    }

    private static int Unescape(ReadOnlySpan<byte> content, Span<byte> bytes)
    {
        var length = 0;
        for (var position = 0; position < content.Length;)
        {
            var current = content[position++];
            if (current != '\\')
            {
                bytes[length++] = current;
                continue;
            }

            if (position == content.Length)
            {
                return -1;
            }

            var kind = content[position++];
            switch (kind)
            {
                case (byte)'x':
                    var value = Hexadecimal(content[position..], 2);
                    if (value < 0)
                    {
                        return -1;
                    }

                    position += 2;
                    bytes[length++] = (byte)value;
                    break;
                case >= (byte)'0' and <= (byte)'7':
                    var octal = kind - '0';
                    for (var digits = 1; digits < 3 && position < content.Length && content[position] is >= (byte)'0' and <= (byte)'7'; digits++)
                    {
                        octal = (8 * octal) + content[position++] - '0';
                    }

                    bytes[length++] = (byte)octal;
                    break;
                default:
                    var plain = Escaped(kind);
                    if (plain < 0)
                    {
                        // What is no escape keeps its backslash.
                        bytes[length++] = (byte)'\\';
                    }

                    bytes[length++] = plain < 0 ? kind : (byte)plain;
                    break;
            }
        }

        return length;
    }

    private static int Escaped(byte kind) => kind switch
    {
        (byte)'\\' or (byte)'\'' or (byte)'"' => kind,
        (byte)'n' => '\n',
        (byte)'r' => '\r',
        (byte)'t' => '\t',
        (byte)'a' => '\a',
        (byte)'b' => '\b',
        (byte)'f' => '\f',
        (byte)'v' => '\v',
        _ => -1,
    };

    private static long Hexadecimal(ReadOnlySpan<byte> text, int digits)
    {
        if (text.Length < digits)
        {
            return -1;
        }

        var value = 0L;
        foreach (var digit in text[..digits])
        {
            if (!char.IsAsciiHexDigit((char)digit))
            {
                return -1;
            }

            value = (16 * value) + (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        }

        return value;
    }
}
