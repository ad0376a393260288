using System.Globalization;
using System.Text;

namespace IlgpuLoader.Formats.Numpy;

/// <summary>
/// Reads the Python literal that is the header of an array: a dictionary of strings, whole numbers, truth values, tuples and
/// lists. Nothing is evaluated: a name or a call is an error. What NumPy writes and accepts is read, with the quirks of older
/// versions: both quotes, <c>u''</c>, <c>10L</c>, commas before a closing bracket, any space.
/// </summary>
/// <param name="text">The header.</param>
/// <param name="place">Where it stands.</param>
/// <param name="start">Where the text begins, in bytes from the start of the array.</param>
/// <param name="encoding">How its characters are bytes.</param>
internal sealed class NpyLiteral(string text, NpyPlace place, int start, Encoding encoding)
{
    // A structured type nests two brackets a level, and none that is read nests at all: enough to tell one from an attack.
    private const int MaximumDepth = 32;

    private int _position;

    /// <summary>Reads the whole text as one dictionary.</summary>
    /// <returns>The values by key.</returns>
    /// <exception cref="InvalidCheckpointException">It is none.</exception>
    public Dictionary<string, object?> ReadDictionary()
    {
        Expect('{');
        var entries = new Dictionary<string, object?>();
        while (!TryTake('}'))
        {
            var at = _position;
            if (ReadValue(0) is not string key)
            {
                throw Invalid("a key of the header is no string", at);
            }

            Expect(':');
            if (!entries.TryAdd(key, ReadValue(0)))
            {
                throw Invalid($"the header has the key {Quoted.Name(key)} twice", at);
            }

            if (!TryTake(','))
            {
                Expect('}');
                break;
            }
        }

        SkipSpace();
        return _position == text.Length
            ? entries
            : throw Invalid($"behind the header's dictionary stands {Quoted.Name(text[_position..])}", _position);
    }

    private object? ReadValue(int depth)
    {
        SkipSpace();
        if (_position == text.Length)
        {
            throw Invalid("the header ends within its dictionary", _position);
        }

        var character = text[_position];
        return character switch
        {
            '(' or '[' when depth >= MaximumDepth => throw Invalid($"the header nests more than {MaximumDepth} brackets", _position),
            '(' => ReadTuple(depth + 1),
            '[' => new NpySequence(false, ReadItems(']', depth + 1, out _)),
            '\'' or '"' => ReadString(),
            'u' or 'U' when _position + 1 < text.Length && text[_position + 1] is '\'' or '"' => ReadPrefixedString(),
            '-' or '+' or (>= '0' and <= '9') => ReadNumber(),
            _ => ReadWord(),
        };
    }

    // Brackets around one value without a comma are no tuple but the value: (3) is 3.
    private object? ReadTuple(int depth)
    {
        var items = ReadItems(')', depth, out var hasComma);
        return items.Count == 1 && !hasComma ? items[0] : new NpySequence(true, items);
    }

    private List<object?> ReadItems(char end, int depth, out bool hasComma)
    {
        _position++;
        hasComma = false;
        var items = new List<object?>();
        while (!TryTake(end))
        {
            items.Add(ReadValue(depth));
            if (!TryTake(','))
            {
                Expect(end);
                break;
            }

            hasComma = true;
        }

        return items;
    }

    private string ReadPrefixedString()
    {
        _position++;
        return ReadString();
    }

    private string ReadString()
    {
        var begin = _position;
        var quote = text[_position++];
        var value = new StringBuilder();
        while (_position < text.Length && text[_position] != quote)
        {
            var character = text[_position++];
            if (character == '\n')
            {
                throw Invalid("a string of the header has no end", begin);
            }

            value.Append(character == '\\' ? ReadEscape(begin) : character);
        }

        if (_position == text.Length || text[_position] != quote)
        {
            throw Invalid("a string of the header has no end", begin);
        }

        _position++;
        return value.ToString();
    }

    // What Python writes in the names of fields, of types that are then refused.
    private char ReadEscape(int begin)
    {
        if (_position == text.Length)
        {
            throw Invalid("a string of the header has no end", begin);
        }

        var letter = text[_position++];
        var digits = letter switch { 'x' => 2, 'u' => 4, _ => 0 };
        if (digits == 0)
        {
            return letter switch { 'n' => '\n', 't' => '\t', 'r' => '\r', _ => letter };
        }

        if (_position + digits > text.Length
            || !ushort.TryParse(text.AsSpan(_position, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
        {
            throw Invalid($"\\{letter} in a string of the header needs {digits} hexadecimal digits", _position - 2);
        }

        _position += digits;
        return (char)code;
    }

    private long ReadNumber()
    {
        var begin = _position;
        if (text[_position] is '-' or '+')
        {
            _position++;
        }

        var digits = _position;
        while (_position < text.Length && char.IsAsciiDigit(text[_position]))
        {
            _position++;
        }

        var number = text.AsSpan(begin, _position - begin);
        // Python 2 wrote long numbers with this ending, and NumPy still reads them.
        if (_position < text.Length && text[_position] == 'L')
        {
            _position++;
        }

        if (digits == _position || (_position < text.Length && (char.IsLetterOrDigit(text[_position]) || text[_position] is '.' or '_'))
            || (number.Length > 1 && text[digits] == '0' && char.IsAsciiDigit(text[digits + 1])))
        {
            throw Invalid("a number of the header is no whole number in decimal digits", begin);
        }

        return long.TryParse(number, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw place.Invalid(
                CheckpointErrorCode.SizeOverflow, $"the number {Quoted.Name(number.ToString())} in the header does not fit 64 bits.", Offset(begin));
    }

    private object? ReadWord()
    {
        var begin = _position;
        while (_position < text.Length && (char.IsLetterOrDigit(text[_position]) || text[_position] == '_'))
        {
            _position++;
        }

        return text[begin.._position] switch
        {
            "True" => true,
            "False" => false,
            "None" => null,
            "" => throw Invalid($"the header has {Quoted.Name(text[begin..(begin + 1)])} where a value is expected", begin),
            var word => throw Invalid(
                $"the header has {Quoted.Name(word)} where a value is expected: it is a literal, and nothing in it is called or looked up", begin),
        };
    }

    private bool TryTake(char character)
    {
        SkipSpace();
        if (_position == text.Length || text[_position] != character)
        {
            return false;
        }

        _position++;
        return true;
    }

    private void Expect(char character)
    {
        if (!TryTake(character))
        {
            var found = _position == text.Length ? "its end" : Quoted.Name(text[_position..(_position + 1)]);
            throw Invalid($"the header has {found} where '{character}' is expected", _position);
        }
    }

    private void SkipSpace()
    {
        while (_position < text.Length && text[_position] is ' ' or '\t' or '\r' or '\n' or '\f')
        {
            _position++;
        }
    }

    private InvalidCheckpointException Invalid(string problem, int position) => place.Invalid(
        CheckpointErrorCode.HeaderFieldInvalid,
        $"{problem}; it must be the dictionary that numpy.save writes. The file is damaged, or was not written by NumPy.",
        Offset(position));

    private long Offset(int position) => start + (long)encoding.GetByteCount(text.AsSpan(0, position));
}
