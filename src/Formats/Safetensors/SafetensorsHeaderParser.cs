using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace IlgpuLoader.Formats.Safetensors;

/// <summary>
/// Parses the JSON of a header: grammar and types only; <see cref="SafetensorsLayout"/> checks what the numbers mean.
/// Follows the reference (serde_json into its structs), with one deviation: a key that occurs twice is always refused.
/// </summary>
internal ref struct SafetensorsHeaderParser
{
    // The reference's Rust type names the three fields in this order, and accepts them as an array in it.
    private const string FieldNames = "dtype, shape and data_offsets";

    // A header of ten thousand tensors is parsed in the first tenth of a second of a process, before the runtime would
    // compile anything well; the methods of the inner loop are compiled well at once.
    private const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization;

    private readonly string _file;
    private readonly bool _refuseNul;
    private readonly int _maximumRank;
    private readonly List<SafetensorsEntry> _entries = [];
    private readonly HashSet<string> _names = [];
    private ulong[] _numbers = new ulong[8];
    private DType _lastDType = DType.BF16;
    private Utf8JsonReader _json;
    private string? _tensor;

    private SafetensorsHeaderParser(ReadOnlySpan<byte> header, string file, SafetensorsLimits limits)
    {
        _file = file;
        _refuseNul = limits.RefuseNul;
        _maximumRank = limits.MaximumRank;
        _json = new Utf8JsonReader(
            header,
            isFinalBlock: true,
            new JsonReaderState(new JsonReaderOptions { MaxDepth = SafetensorsConstants.MaximumDepth }));
    }

    /// <summary>Parses a header.</summary>
    /// <param name="header">The bytes between the length field and the data.</param>
    /// <param name="file">The file, for messages.</param>
    /// <param name="limits">What is accepted.</param>
    /// <exception cref="InvalidCheckpointException">The header breaks a rule; the message names it, with its offset.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> header, string file, SafetensorsLimits limits)
    {
        if (!Utf8.IsValid(header))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.HeaderNotUtf8,
                file,
                "the header is not valid UTF-8: the file is damaged or is not a safetensors file.",
                SafetensorsConstants.Format,
                SafetensorsConstants.LengthBytes + IndexOfInvalidUtf8(header));
        }

        var parser = new SafetensorsHeaderParser(header, file, limits);
        try
        {
            return parser.ParseHeader();
        }
        catch (InvalidOperationException exception)
        {
            // What the tokeniser throws for half of a surrogate pair (\ud800): valid to its grammar, but no text.
            throw parser.Invalid(CheckpointErrorCode.HeaderNotJson, "a string of the header holds half of a surrogate pair, which is not text", exception);
        }
        catch (JsonException exception)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.HeaderNotJson,
                file,
                $"the header is not the JSON it must be: {Describe(exception)}",
                SafetensorsConstants.Format,
                SafetensorsConstants.LengthBytes + parser._json.BytesConsumed,
                parser._tensor,
                exception);
        }
    }

    private SafetensorsHeader ParseHeader()
    {
        ReadToken();
        if (_json.TokenType != JsonTokenType.StartObject)
        {
            throw Invalid(CheckpointErrorCode.HeaderNotJson, $"the header must be a JSON object, and begins with {Found()}");
        }

        var metadata = new Dictionary<string, object>();
        var hasMetadata = false;
        while (ReadToken() && _json.TokenType != JsonTokenType.EndObject)
        {
            var name = ReadString();
            if (name != SafetensorsConstants.MetadataKey)
            {
                ParseTensor(name);
                continue;
            }

            if (hasMetadata)
            {
                throw Invalid(CheckpointErrorCode.MetadataInvalid, $"{SafetensorsConstants.MetadataKey} is given twice");
            }

            hasMetadata = true;
            ParseMetadata(metadata);
        }

        // Anything but white space after the object throws here: the reader is told that this is the final block.
        _json.Read();
        return new SafetensorsHeader([.. _entries], metadata);
    }

    private void ParseMetadata(Dictionary<string, object> metadata)
    {
        ReadToken();
        // The reference's type is an optional map: null stands for none.
        if (_json.TokenType == JsonTokenType.Null)
        {
            return;
        }

        if (_json.TokenType != JsonTokenType.StartObject)
        {
            throw Invalid(
                CheckpointErrorCode.MetadataInvalid,
                $"{SafetensorsConstants.MetadataKey} must be an object of strings, and is {Found()}");
        }

        while (ReadToken() && _json.TokenType != JsonTokenType.EndObject)
        {
            var key = ReadString();
            ReadToken();
            if (_json.TokenType != JsonTokenType.String)
            {
                throw Invalid(
                    CheckpointErrorCode.MetadataInvalid,
                    $"{SafetensorsConstants.MetadataKey} holds strings only, and {Quoted.Name(key)} is {Found()}");
            }

            var value = ReadString();
            if (_refuseNul && (key.Contains('\0') || value.Contains('\0')))
            {
                throw Invalid(CheckpointErrorCode.MetadataInvalid, $"the metadata entry {Quoted.Name(key)} holds a NUL character");
            }

            if (!metadata.TryAdd(key, value))
            {
                throw Invalid(CheckpointErrorCode.MetadataInvalid, $"the metadata entry {Quoted.Name(key)} is given twice");
            }
        }
    }

    private void ParseTensor(string name)
    {
        _tensor = name;
        if (_refuseNul && name.Contains('\0'))
        {
            throw Invalid(CheckpointErrorCode.TensorNameInvalid, "the name holds a NUL character");
        }

        if (!_names.Add(name))
        {
            throw Invalid(
                CheckpointErrorCode.DuplicateTensor,
                "the name is given twice, and readers would disagree about which one counts; write the file again");
        }

        ReadToken();
        _entries.Add(_json.TokenType switch
        {
            JsonTokenType.StartObject => ParseFields(name),
            JsonTokenType.StartArray => ParsePositional(name),
            _ => throw Invalid(
                CheckpointErrorCode.HeaderFieldInvalid, $"an entry must be an object with {FieldNames}, and is {Found()}"),
        });
        _tensor = null;
    }

    private SafetensorsEntry ParseFields(string name)
    {
        DType? dtype = null;
        ulong[]? shape = null;
        (ulong Begin, ulong End)? offsets = null;
        while (ReadToken() && _json.TokenType != JsonTokenType.EndObject)
        {
            ThrowIfNotText();
            if (_json.ValueTextEquals("dtype"u8))
            {
                ThrowIfRepeated(dtype is not null, "dtype");
                ReadToken();
                dtype = ParseDType();
            }
            else if (_json.ValueTextEquals("shape"u8))
            {
                ThrowIfRepeated(shape is not null, "shape");
                ReadToken();
                shape = ParseNumbers("shape");
            }
            else if (_json.ValueTextEquals("data_offsets"u8))
            {
                ThrowIfRepeated(offsets is not null, "data_offsets");
                ReadToken();
                offsets = ParseOffsets();
            }
            else
            {
                SkipValue();
            }
        }

        var missing = dtype is null ? "dtype" : shape is null ? "shape" : offsets is null ? "data_offsets" : null;
        return missing is null
            ? new SafetensorsEntry(name, dtype!.Value, shape!, offsets!.Value.Begin, offsets.Value.End)
            : throw Invalid(CheckpointErrorCode.HeaderFieldInvalid, $"the field {missing} is missing; an entry needs {FieldNames}");
    }

    // Unknown fields are passed over, as the reference does, which still insists that every string in them is text.
    private void SkipValue()
    {
        // A bracket counts to the level outside it.
        var depth = _json.CurrentDepth;
        do
        {
            ReadToken();
            if (_json.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
            {
                ThrowIfNotText();
            }
        }
        while (_json.CurrentDepth > depth || _json.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray);
    }

    // ["F32", [1], [0, 4]]: the array form that the reference accepts.
    private SafetensorsEntry ParsePositional(string name)
    {
        ReadToken();
        var dtype = ParseDType();
        ReadToken();
        var shape = ParseNumbers("shape");
        ReadToken();
        var (begin, end) = ParseOffsets();
        ReadToken();
        return _json.TokenType == JsonTokenType.EndArray
            ? new SafetensorsEntry(name, dtype, shape, begin, end)
            : throw Invalid(CheckpointErrorCode.HeaderFieldInvalid, $"an entry in array form holds {FieldNames} and nothing more");
    }

    private DType ParseDType()
    {
        if (_json.TokenType != JsonTokenType.String)
        {
            throw Invalid(CheckpointErrorCode.HeaderFieldInvalid, $"dtype must be a string, and is {Found()}");
        }

        ThrowIfNotText();
        // Most checkpoints have one dtype, or long runs of one.
        if (_json.ValueTextEquals(_lastDType.Name))
        {
            return _lastDType;
        }

        for (var dtype = DType.BOOL; dtype.IsSafetensors; dtype++)
        {
            if (_json.ValueTextEquals(dtype.Name))
            {
                return _lastDType = dtype;
            }
        }

        var written = ReadString();
        throw Invalid(
            CheckpointErrorCode.UnknownDType,
            $"the dtype {Quoted.Name(written)} is not one of {string.Join(", ", DType.All.Where(d => d.IsSafetensors).Select(d => d.Name))}"
            + (written.Any(char.IsAsciiLetterLower) ? "; names are upper case" : ""));
    }

    private (ulong Begin, ulong End) ParseOffsets()
    {
        var numbers = ParseNumbers("data_offsets");
        return numbers is [var begin, var end]
            ? (begin, end)
            : throw Invalid(CheckpointErrorCode.HeaderFieldInvalid, $"data_offsets must hold two numbers, and holds {numbers.Length}");
    }

    [MethodImpl(Hot)]
    private ulong[] ParseNumbers(string field)
    {
        if (_json.TokenType != JsonTokenType.StartArray)
        {
            throw Invalid(CheckpointErrorCode.HeaderFieldInvalid, $"{field} must be an array of whole numbers, and is {Found()}");
        }

        var count = 0;
        while (ReadToken() && _json.TokenType != JsonTokenType.EndArray)
        {
            // Digits only: a sign, a fraction or an exponent is a different type to the reference, even in 1.0 or -0.
            if (_json.TokenType != JsonTokenType.Number || !TryParseDigits(_json.ValueSpan, out var number))
            {
                throw Invalid(
                    CheckpointErrorCode.HeaderFieldInvalid,
                    $"{field} must hold whole numbers from 0 to {ulong.MaxValue}, and holds {Found()}");
            }

            // Offsets are two and are counted by their caller, but are no reason either to hold millions.
            if (count == Math.Max(_maximumRank, 2))
            {
                throw new CheckpointLimitException(
                    $"number of values in {field} of tensor {Quoted.Name(_tensor!)}",
                    count + 1,
                    count,
                    $"{nameof(SafetensorsLimits)}.{nameof(SafetensorsLimits.MaximumRank)}",
                    _file,
                    SafetensorsConstants.Format);
            }

            if (count == _numbers.Length)
            {
                Array.Resize(ref _numbers, checked(count * 2));
            }

            _numbers[count++] = number;
        }

        return _numbers.AsSpan(0, count).ToArray();
    }

    [MethodImpl(Hot)]
    private static bool TryParseDigits(ReadOnlySpan<byte> text, out ulong number)
    {
        // 19 digits always fit 64 bits; JSON has no leading zeros that would make a small number longer.
        const int safeDigits = 19;
        number = 0;
        foreach (var character in text)
        {
            var digit = (uint)character - '0';
            if (digit > 9)
            {
                return false;
            }

            if (text.Length <= safeDigits)
            {
                number = (number * 10) + digit;
            }
        }

        return text.Length <= safeDigits || ulong.TryParse(text, out number);
    }

    [MethodImpl(Hot)]
    private readonly string ReadString() => _json.ValueIsEscaped ? _json.GetString()! : Encoding.UTF8.GetString(_json.ValueSpan);

    // Comparing or skipping an escaped string does not say whether it is text; reading it does.
    private readonly void ThrowIfNotText()
    {
        if (_json.ValueIsEscaped)
        {
            _ = ReadString();
        }
    }

    private readonly void ThrowIfRepeated(bool repeated, string field)
    {
        if (repeated)
        {
            throw Invalid(CheckpointErrorCode.HeaderFieldInvalid, $"the field {field} is given twice");
        }
    }

    // Within the object the tokeniser throws by itself at the end of the bytes, so false is never seen by a loop above.
    [MethodImpl(Hot)]
    private bool ReadToken()
    {
        return _json.Read()
            ? true
            : throw Invalid(CheckpointErrorCode.HeaderNotJson, "the header ends in the middle of its JSON");
    }

    private readonly string Found() => _json.TokenType switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray or JsonTokenType.EndArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Null => "null",
        JsonTokenType.Number => Quoted.Plain(Encoding.UTF8.GetString(_json.ValueSpan[..Math.Min(_json.ValueSpan.Length, 40)])),
        _ => "a boolean",
    };

    private readonly InvalidCheckpointException Invalid(CheckpointErrorCode code, string problem, Exception? inner = null) =>
        new(code, _file, problem + ".", SafetensorsConstants.Format, SafetensorsConstants.LengthBytes + _json.TokenStartIndex, _tensor, inner);

    // The framework's message ends with its own position; ours is the offset in the file.
    private static string Describe(JsonException exception)
    {
        var message = exception.Message;
        var position = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return position < 0 ? message : message[..position];
    }

    private static int IndexOfInvalidUtf8(ReadOnlySpan<byte> header)
    {
        var rest = header;
        while (Rune.DecodeFromUtf8(rest, out _, out var length) == System.Buffers.OperationStatus.Done)
        {
            rest = rest[length..];
        }

        return header.Length - rest.Length;
    }
}
