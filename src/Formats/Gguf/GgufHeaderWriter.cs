using System.Buffers.Binary;
using System.Text;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// Makes the header of a file of version 3, little-endian, and refuses what the reader would refuse. Not safe for several
/// threads.
/// </summary>
/// <param name="path">The file, for messages.</param>
internal sealed class GgufHeaderWriter(string path)
{
    // What is no UTF-16 would silently become another character.
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private byte[] _header = [];
    private int _length;

    /// <summary>The number of bytes of a text in UTF-8; null where it holds half of a surrogate pair.</summary>
    public static int? ByteCount(string text)
    {
        try
        {
            return Strict.GetByteCount(text);
        }
        catch (EncoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>Writes the header.</summary>
    /// <param name="metadata">The metadata in the order of the file.</param>
    /// <param name="tensors">The tensors in the order of the file; each can be held.</param>
    /// <param name="offsets">Where each begins, in bytes from the start of all data.</param>
    /// <param name="alignment">What the header is padded to, as ggml does with tensors or without.</param>
    /// <exception cref="ArgumentException">A metadata entry is not allowed; the parameter is named metadata.</exception>
    /// <exception cref="CheckpointLimitException">The header would be larger than readers accept.</exception>
    public ReadOnlyMemory<byte> Build(
        IReadOnlyList<KeyValuePair<string, object>> metadata, IReadOnlyList<GgufTensor> tensors, ReadOnlySpan<long> offsets, int alignment)
    {
        CheckMetadata(metadata);
        ThrowIfTooMany("number of tensors", tensors.Count, GgufLimits.DefaultMaximumTensors, CheckpointErrorCode.LimitExceeded);
        var size = MeasureHeader(metadata, tensors, alignment);
        ThrowIfTooMany("header length", size, GgufLimits.DefaultMaximumHeaderBytes, CheckpointErrorCode.HeaderTooLarge);

        ThrowIfTooMany(
            "memory that the header takes beyond its own bytes",
            MeasureExpansion(metadata, tensors),
            GgufLimits.DefaultMaximumExpansionBytes,
            CheckpointErrorCode.LimitExceeded);

        // Zeros, which the padding at the end stays.
        _header = new byte[(int)size];
        GgufConstants.Magic.CopyTo(Take(GgufConstants.Magic.Length));
        Write(GgufConstants.Version);
        Write((long)tensors.Count);
        Write((long)metadata.Count);
        foreach (var (key, value) in metadata)
        {
            WriteEntry(key, value);
        }

        for (var i = 0; i < tensors.Count; i++)
        {
            var (name, dtype, shape) = tensors[i];
            _ = GgufTypes.TryGetId(dtype, out var id);
            Write(name);
            Write(shape.Rank);
            // The fastest dimension comes first in the file, and last in a shape.
            for (var dimension = shape.Rank - 1; dimension >= 0; dimension--)
            {
                Write(shape[dimension]);
            }

            Write(id);
            Write(offsets[i]);
        }

        return _header;
    }

    /// <summary>Why a metadata entry cannot have a value, as the end of a sentence; null where it can.</summary>
    public static string? ObjectionTo(object? value) => value switch
    {
        null => "is null",
        _ when GgufValueType.Of(value.GetType()) is null => $"is a {value.GetType().Name}, which GGUF does not store",
        string text when ByteCount(text) is null => "holds half of a surrogate pair",
        string text when ByteCount(text) > GgufLimits.DefaultMaximumStringBytes =>
            $"has more than {GgufLimits.DefaultMaximumStringBytes} bytes, which readers do not take",
        GgufArray array when !IsShallow(array, GgufLimits.DefaultMaximumArrayDepth) =>
            $"has arrays in arrays deeper than {GgufLimits.DefaultMaximumArrayDepth}",
        GgufArray array when !IsShort(array) =>
            $"has more than {GgufLimits.DefaultMaximumArrayLength} elements in an array, which readers do not take",
        _ => null,
    };

    private static void CheckMetadata(IReadOnlyList<KeyValuePair<string, object>> metadata)
    {
        if (metadata.Count > GgufLimits.DefaultMaximumKeys)
        {
            throw new ArgumentException(
                $"There are {metadata.Count} metadata entries, and readers take {GgufLimits.DefaultMaximumKeys}.", nameof(metadata));
        }

        var keys = new HashSet<string>(metadata.Count);
        foreach (var (key, value) in metadata)
        {
            if (string.IsNullOrEmpty(key) || ByteCount(key) is not { } length || length > GgufLimits.DefaultMaximumKeyBytes)
            {
                throw new ArgumentException(
                    $"A metadata key is 1 to {GgufLimits.DefaultMaximumKeyBytes} bytes of valid text, not {Quoted.Name(key ?? "")}.", nameof(metadata));
            }

            if (!keys.Add(key))
            {
                throw new ArgumentException($"The metadata has the key {Quoted.Name(key)} twice.", nameof(metadata));
            }

            var problem = ObjectionTo(value);
            if (problem is not null)
            {
                throw new ArgumentException($"The metadata value of {Quoted.Name(key)} {problem}.", nameof(metadata));
            }
        }
    }

    private static long MeasureHeader(
        IReadOnlyList<KeyValuePair<string, object>> metadata, IReadOnlyList<GgufTensor> tensors, int alignment)
    {
        var size = (long)GgufConstants.Magic.Length + sizeof(int) + sizeof(long) + sizeof(long);
        foreach (var (key, value) in metadata)
        {
            size += MeasureText(key) + sizeof(int) + value switch
            {
                string text => MeasureText(text),
                GgufArray array => sizeof(int) + sizeof(long) + array.Encoded.Length,
                _ => TypeOf(value).Size,
            };
        }

        foreach (var tensor in tensors)
        {
            size += MeasureText(tensor.Name) + sizeof(int) + ((long)tensor.Shape.Rank * sizeof(long)) + sizeof(int) + sizeof(long);
        }

        return GgufLayout.Pad(size, alignment);

        static long MeasureText(string text) => sizeof(long) + (long)Strict.GetByteCount(text);
    }

    // As the reader counts it.
    private static long MeasureExpansion(IReadOnlyList<KeyValuePair<string, object>> metadata, IReadOnlyList<GgufTensor> tensors) =>
        ((long)GgufHeaderReader.EntryBytes * (metadata.Count + tensors.Count))
        + metadata.Sum(entry => (long)Strict.GetByteCount(entry.Key) + (entry.Value is string text ? Strict.GetByteCount(text) : 0))
        + tensors.Sum(tensor => (long)Strict.GetByteCount(tensor.Name));

    private void WriteEntry(string key, object value)
    {
        var type = TypeOf(value);
        Write(key);
        Write((int)type);
        switch (value)
        {
            case string text:
                Write(text);
                break;
            case GgufArray array:
                Write((int)array.ElementType);
                Write((long)array.Count);
                array.Encoded.Span.CopyTo(Take(array.Encoded.Length));
                break;
            default:
                GgufScalar.Write(value, Take(type.Size));
                break;
        }
    }

    // Of a value that was checked.
    private static GgufValueType TypeOf(object value) => GgufValueType.Of(value.GetType())!.Value;

    private static bool IsShallow(GgufArray array, int depth) =>
        depth > 0 && (array.ElementType != GgufValueType.ARRAY || array.Arrays().All(inner => IsShallow(inner, depth - 1)));

    // Of an array that is shallow.
    private static bool IsShort(GgufArray array) =>
        array.Count <= GgufLimits.DefaultMaximumArrayLength && (array.ElementType != GgufValueType.ARRAY || array.Arrays().All(IsShort));

    private void ThrowIfTooMany(string limit, long actual, long maximum, CheckpointErrorCode code)
    {
        if (actual > maximum)
        {
            throw new CheckpointLimitException(limit, actual, maximum, "the number of shards", path, GgufConstants.Format, code);
        }
    }

    private void Write(string text)
    {
        var length = Strict.GetByteCount(text);
        Write((long)length);
        Strict.GetBytes(text, Take(length));
    }

    private void Write(int number) => BinaryPrimitives.WriteInt32LittleEndian(Take(sizeof(int)), number);

    private void Write(long number) => BinaryPrimitives.WriteInt64LittleEndian(Take(sizeof(long)), number);

    private Span<byte> Take(int length) => _header.AsSpan((_length += length) - length, length);
}
