using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>Reads metadata values of fixed size.</summary>
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
}
