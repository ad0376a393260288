using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>Reads and writes metadata values of fixed size.</summary>
internal static class GgufScalar
{
    /// <summary>A value in its own CLR type.</summary>
    /// <param name="type">A type of fixed size.</param>
    /// <param name="bytes">At least the bytes of the value.</param>
    /// <param name="isBigEndian">Whether the highest byte comes first.</param>
    public static object Read(GgufValueType type, ReadOnlySpan<byte> bytes, bool isBigEndian) => type switch
    {
        GgufValueType.UINT8 => bytes[0],
        GgufValueType.INT8 => (sbyte)bytes[0],
        GgufValueType.BOOL => bytes[0] != 0,
        GgufValueType.UINT16 => isBigEndian ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        GgufValueType.INT16 => isBigEndian ? BinaryPrimitives.ReadInt16BigEndian(bytes) : BinaryPrimitives.ReadInt16LittleEndian(bytes),
        GgufValueType.UINT32 => isBigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        GgufValueType.INT32 => isBigEndian ? BinaryPrimitives.ReadInt32BigEndian(bytes) : BinaryPrimitives.ReadInt32LittleEndian(bytes),
        GgufValueType.FLOAT32 => isBigEndian ? BinaryPrimitives.ReadSingleBigEndian(bytes) : BinaryPrimitives.ReadSingleLittleEndian(bytes),
        GgufValueType.UINT64 => isBigEndian ? BinaryPrimitives.ReadUInt64BigEndian(bytes) : BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        GgufValueType.INT64 => isBigEndian ? BinaryPrimitives.ReadInt64BigEndian(bytes) : BinaryPrimitives.ReadInt64LittleEndian(bytes),
        GgufValueType.FLOAT64 => isBigEndian ? BinaryPrimitives.ReadDoubleBigEndian(bytes) : BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Values of this type differ in size."),
    };

    /// <summary>Writes a value, little-endian.</summary>
    /// <param name="value">In a CLR type of fixed size that <see cref="GgufValueType"/> names.</param>
    /// <param name="bytes">At least the bytes of the value.</param>
    public static void Write(object value, Span<byte> bytes)
    {
        switch (value)
        {
            case byte number:
                bytes[0] = number;
                break;
            case sbyte number:
                bytes[0] = (byte)number;
                break;
            case bool truth:
                bytes[0] = truth ? (byte)1 : (byte)0;
                break;
            case ushort number:
                BinaryPrimitives.WriteUInt16LittleEndian(bytes, number);
                break;
            case short number:
                BinaryPrimitives.WriteInt16LittleEndian(bytes, number);
                break;
            case uint number:
                BinaryPrimitives.WriteUInt32LittleEndian(bytes, number);
                break;
            case int number:
                BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
                break;
            case float number:
                BinaryPrimitives.WriteSingleLittleEndian(bytes, number);
                break;
            case ulong number:
                BinaryPrimitives.WriteUInt64LittleEndian(bytes, number);
                break;
            case long number:
                BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
                break;
            case double number:
                BinaryPrimitives.WriteDoubleLittleEndian(bytes, number);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(value), value.GetType().Name, "Values of this type differ in size, or are none of GGUF's.");
        }
    }
}
