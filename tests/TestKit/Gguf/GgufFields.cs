using System.Buffers.Binary;
using System.Text;

namespace IlgpuLoader.TestKit;

/// <summary>Writes the fields of a GGUF header one after another, in the version and byte order of the file.</summary>
/// <param name="version">1, whose counts and lengths have 4 bytes, or later, where they have 8.</param>
/// <param name="bigEndian">Whether the highest byte comes first.</param>
public sealed class GgufFields(int version = 3, bool bigEndian = false)
{
    private readonly List<byte> _bytes = [];

    /// <summary>The bytes so far.</summary>
    public int Count => _bytes.Count;

    /// <summary>All of it.</summary>
    public byte[] ToArray() => [.. _bytes];

    /// <summary>Bytes as they are.</summary>
    public GgufFields Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>A number of 1, 2, 4 or 8 bytes.</summary>
    public GgufFields Number(ulong value, int size)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        var number = bytes.AsSpan(0, size);
        if (bigEndian)
        {
            number.Reverse();
        }

        return Raw(number);
    }

    /// <summary>A number of 32 bits.</summary>
    public GgufFields U32(uint value) => Number(value, 4);

    /// <summary>A number of 64 bits.</summary>
    public GgufFields U64(ulong value) => Number(value, 8);

    /// <summary>A count or a length.</summary>
    public GgufFields Length(ulong value) => Number(value, version == 1 ? 4 : 8);

    /// <summary>A string with its length.</summary>
    public GgufFields Text(string text) => Text(Encoding.UTF8.GetBytes(text));

    /// <summary>A string of any bytes with its length.</summary>
    public GgufFields Text(ReadOnlySpan<byte> text) => Length((ulong)text.Length).Raw(text);

    /// <summary>A value without its type: a number, a truth value, a string (a byte array is one of any bytes), or an array of these.</summary>
    public GgufFields Value(object value) => value switch
    {
        bool truth => Number(truth ? 1u : 0u, 1),
        byte number => Number(number, 1),
        sbyte number => Number((byte)number, 1),
        ushort number => Number(number, 2),
        short number => Number((ushort)number, 2),
        uint number => Number(number, 4),
        int number => Number((uint)number, 4),
        float number => Number(BitConverter.SingleToUInt32Bits(number), 4),
        ulong number => Number(number, 8),
        long number => Number((ulong)number, 8),
        double number => Number(BitConverter.DoubleToUInt64Bits(number), 8),
        string text => Text(text),
        byte[] text => Text(text),
        Array array => Elements(array),
        _ => throw new ArgumentException($"GGUF has no {value.GetType()}.", nameof(value)),
    };

    /// <summary>The number of a value's type (gguf.h).</summary>
    public static uint TypeOf(object value) => value switch
    {
        byte => 0,
        sbyte => 1,
        ushort => 2,
        short => 3,
        uint => 4,
        int => 5,
        float => 6,
        bool => 7,
        string or byte[] => 8,
        Array => 9,
        ulong => 10,
        long => 11,
        double => 12,
        _ => throw new ArgumentException($"GGUF has no {value.GetType()}.", nameof(value)),
    };

    private GgufFields Elements(Array array)
    {
        // Of objects, the first says what all are.
        var type = array.GetType().GetElementType()!;
        U32(TypeOf(type == typeof(object) ? array.GetValue(0)! : Sample(type))).Length((ulong)array.Length);
        foreach (var element in array)
        {
            Value(element!);
        }

        return this;
    }

    private static object Sample(Type type) =>
        type == typeof(string) ? ""
        : type.IsArray ? Array.CreateInstance(type.GetElementType()!, 0)
        : Activator.CreateInstance(type)!;
}
