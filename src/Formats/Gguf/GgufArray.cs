using System.Buffers.Binary;
using System.Collections;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// An array of a file's metadata. It holds the stored bytes and decodes values when they are asked for: the vocabulary of a
/// model has hundreds of thousands of strings that most programs never look at. Immutable and safe for any thread.
/// </summary>
/// <remarks>
/// Strings that are not valid UTF-8 (vocabularies have tokens that are single bytes of a character) come out with U+FFFD in
/// place of what is wrong; <see cref="GetBytes"/> has them as they are.
/// </remarks>
public sealed class GgufArray : IReadOnlyList<object>, IEquatable<GgufArray>
{
    // Of a string, or of the count of an array.
    private const int LengthBytes = 8;

    private int[]? _starts;

    // The bytes must have been validated: every length and type in them is believed.
    internal GgufArray(GgufValueType elementType, int count, ReadOnlyMemory<byte> encoded)
    {
        ElementType = elementType;
        Count = count;
        Encoded = encoded;
    }

    /// <summary>The type of every element.</summary>
    public GgufValueType ElementType { get; }

    /// <summary>The number of elements.</summary>
    public int Count { get; }

    /// <summary>
    /// The elements one after another as a little-endian file of version 3 stores them, without the array's own type and
    /// count; whatever version and byte order the file has.
    /// </summary>
    public ReadOnlyMemory<byte> Encoded { get; }

    /// <summary>An element, in the CLR type that <see cref="GgufValueType"/> names.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    public object this[int index] => ElementType switch
    {
        GgufValueType.STRING => GetString(index),
        GgufValueType.ARRAY => GetArray(index),
        _ => Scalar(Slice(index).Span),
    };

    /// <summary>Makes an array of numbers or truth values.</summary>
    /// <typeparam name="T">A CLR type that <see cref="GgufValueType"/> names, of fixed size.</typeparam>
    /// <exception cref="ArgumentException">The type is none of them.</exception>
    public static GgufArray Create<T>(params ReadOnlySpan<T> values)
        where T : unmanaged
    {
        var type = GgufValueType.Of(typeof(T)) ?? throw new ArgumentException($"GGUF stores no {typeof(T).Name}.", nameof(T));
        var encoded = new byte[checked(values.Length * type.Size)];
        MemoryMarshal.AsBytes(values).CopyTo(encoded);
        SwapOnBigEndianMachine(encoded, type.Size);
        return new GgufArray(type, values.Length, encoded);
    }

    /// <summary>Makes an array of strings.</summary>
    /// <exception cref="ArgumentException">A string holds half of a surrogate pair, which is no text that UTF-8 has.</exception>
    public static GgufArray Create(IReadOnlyCollection<string> strings)
    {
        ArgumentNullException.ThrowIfNull(strings);
        var encoded = new byte[strings.Aggregate(0, (sum, text) => checked(sum + LengthBytes + ByteCount(text, nameof(strings))))];
        var rest = encoded.AsSpan();
        foreach (var text in strings)
        {
            var length = Encoding.UTF8.GetBytes(text, rest[LengthBytes..]);
            BinaryPrimitives.WriteInt64LittleEndian(rest, length);
            rest = rest[(LengthBytes + length)..];
        }

        return new GgufArray(GgufValueType.STRING, strings.Count, encoded);
    }

    /// <summary>Makes an array of arrays.</summary>
    public static GgufArray Create(IReadOnlyCollection<GgufArray> arrays)
    {
        ArgumentNullException.ThrowIfNull(arrays);
        var encoded = new byte[arrays.Aggregate(0, (sum, array) => checked(sum + sizeof(int) + LengthBytes + array.Encoded.Length))];
        var rest = encoded.AsSpan();
        foreach (var array in arrays)
        {
            BinaryPrimitives.WriteInt32LittleEndian(rest, (int)array.ElementType);
            BinaryPrimitives.WriteInt64LittleEndian(rest[sizeof(int)..], array.Count);
            array.Encoded.Span.CopyTo(rest[(sizeof(int) + LengthBytes)..]);
            rest = rest[(sizeof(int) + LengthBytes + array.Encoded.Length)..];
        }

        return new GgufArray(GgufValueType.ARRAY, arrays.Count, encoded);
    }

    /// <summary>All elements, of exactly their own type.</summary>
    /// <typeparam name="T">The CLR type of <see cref="ElementType"/>; a wider or narrower one is refused.</typeparam>
    /// <exception cref="InvalidOperationException">The elements are of another type.</exception>
    public T[] ToArray<T>()
    {
        if (typeof(T) == typeof(string))
        {
            return (T[])(object)Strings().ToArray();
        }

        if (typeof(T) == typeof(GgufArray))
        {
            return (T[])(object)Arrays().ToArray();
        }

        ThrowIfNot(GgufValueType.Of(typeof(T)), typeof(T).Name);
        var values = new T[Count];
        var bytes = MemoryMarshal.CreateSpan(
            ref Unsafe.As<T, byte>(ref MemoryMarshal.GetArrayDataReference(values)), checked(Count * ElementType.Size));
        Encoded.Span.CopyTo(bytes);
        if (ElementType == GgufValueType.BOOL)
        {
            // A bool of .NET with another byte than 0 or 1 is equal to neither true nor false.
            foreach (ref var value in bytes)
            {
                value = value == 0 ? (byte)0 : (byte)1;
            }
        }

        SwapOnBigEndianMachine(bytes, ElementType.Size);
        return values;
    }

    /// <summary>One string. The first call finds where each begins, and takes four bytes for each to remember it.</summary>
    /// <exception cref="InvalidOperationException">The elements are no strings.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    public string GetString(int index) => Encoding.UTF8.GetString(GetBytes(index).Span);

    /// <summary>The bytes of one string, valid UTF-8 or not.</summary>
    /// <inheritdoc cref="GetString" path="/exception"/>
    public ReadOnlyMemory<byte> GetBytes(int index)
    {
        ThrowIfNot(GgufValueType.STRING, nameof(String));
        return Slice(index)[LengthBytes..];
    }

    /// <summary>One array of an array.</summary>
    /// <exception cref="InvalidOperationException">The elements are no arrays.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    public GgufArray GetArray(int index)
    {
        ThrowIfNot(GgufValueType.ARRAY, nameof(GgufArray));
        return Nested(Slice(index));
    }

    /// <summary>The strings one after another, each decoded when it is reached.</summary>
    /// <exception cref="InvalidOperationException">The elements are no strings.</exception>
    public IEnumerable<string> Strings()
    {
        ThrowIfNot(GgufValueType.STRING, nameof(String));
        return Slices().Select(slice => Encoding.UTF8.GetString(slice.Span[LengthBytes..]));
    }

    /// <summary>The arrays one after another.</summary>
    /// <exception cref="InvalidOperationException">The elements are no arrays.</exception>
    public IEnumerable<GgufArray> Arrays()
    {
        ThrowIfNot(GgufValueType.ARRAY, nameof(GgufArray));
        return Slices().Select(Nested);
    }

    /// <inheritdoc/>
    public IEnumerator<object> GetEnumerator() => (ElementType switch
    {
        GgufValueType.STRING => Strings(),
        GgufValueType.ARRAY => Arrays(),
        _ => Slices().Select(slice => Scalar(slice.Span)),
    }).GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Whether both have the same elements of the same type, bit for bit.</summary>
    public bool Equals(GgufArray? other) =>
        other is not null && ElementType == other.ElementType && Count == other.Count && Encoded.Span.SequenceEqual(other.Encoded.Span);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as GgufArray);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        // The first elements tell arrays apart as well as megabytes do.
        const int most = 256;
        var hash = default(HashCode);
        hash.Add(ElementType);
        hash.Add(Count);
        hash.AddBytes(Encoded.Span[..Math.Min(most, Encoded.Length)]);
        return hash.ToHashCode();
    }

    /// <summary>Type and count, such as <c>STRING[32000]</c>.</summary>
    public override string ToString() => $"{ElementType}[{Count}]";

    private static int ByteCount(string text, string parameter) => GgufHeaderWriter.ByteCount(text) ?? throw new ArgumentException(
        $"The string {Quoted.Name(text)} holds half of a surrogate pair.", parameter);

    private static GgufArray Nested(ReadOnlyMemory<byte> slice) => new(
        (GgufValueType)BinaryPrimitives.ReadInt32LittleEndian(slice.Span),
        (int)BinaryPrimitives.ReadInt64LittleEndian(slice.Span[sizeof(int)..]),
        slice[(sizeof(int) + LengthBytes)..]);

    private static void SwapOnBigEndianMachine(Span<byte> values, int size)
    {
        if (!BitConverter.IsLittleEndian)
        {
            ByteOrder.Swap(values, size);
        }
    }

    // The size of the value of this type at the beginning of the bytes.
    private static int SizeAt(GgufValueType type, ReadOnlySpan<byte> bytes)
    {
        if (type == GgufValueType.STRING)
        {
            return checked(LengthBytes + (int)BinaryPrimitives.ReadInt64LittleEndian(bytes));
        }

        if (type != GgufValueType.ARRAY)
        {
            return type.Size;
        }

        var elementType = (GgufValueType)BinaryPrimitives.ReadInt32LittleEndian(bytes);
        var count = BinaryPrimitives.ReadInt64LittleEndian(bytes[sizeof(int)..]);
        var size = sizeof(int) + LengthBytes;
        if (elementType.Size is var elementSize and > 0)
        {
            return checked(size + (int)(count * elementSize));
        }

        for (var i = 0L; i < count; i++)
        {
            size += SizeAt(elementType, bytes[size..]);
        }

        return size;
    }

    private object Scalar(ReadOnlySpan<byte> bytes) => GgufScalar.Read(ElementType, bytes, isBigEndian: false);

    private IEnumerable<ReadOnlyMemory<byte>> Slices()
    {
        var rest = Encoded;
        for (var i = 0; i < Count; i++)
        {
            var size = SizeAt(ElementType, rest.Span);
            yield return rest[..size];
            rest = rest[size..];
        }
    }

    private ReadOnlyMemory<byte> Slice(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        if (ElementType.Size is var size and > 0)
        {
            return Encoded.Slice(index * size, size);
        }

        // Two threads may find them both; either result is right.
        var starts = Volatile.Read(ref _starts);
        if (starts is null)
        {
            starts = new int[Count + 1];
            for (var i = 0; i < Count; i++)
            {
                starts[i + 1] = starts[i] + SizeAt(ElementType, Encoded.Span[starts[i]..]);
            }

            Volatile.Write(ref _starts, starts);
        }

        return Encoded[starts[index]..starts[index + 1]];
    }

    private void ThrowIfNot(GgufValueType? asked, string name)
    {
        if (asked != ElementType)
        {
            throw new InvalidOperationException(
                $"The elements of this metadata array are {ElementType}, not {asked?.ToString() ?? name}; read them as what they are.");
        }
    }
}
