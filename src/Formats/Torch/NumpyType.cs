using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>A dtype of NumPy as a pickle has it: <c>numpy.dtype('f8', False, True)</c> and a state with the byte order.</summary>
/// <param name="Text">The type as NumPy spells it, such as <c>&lt;f8</c>.</param>
/// <param name="Type">The type of the elements; null where it is none of numbers.</param>
/// <param name="IsBigEndian">Whether its numbers have their highest byte first.</param>
internal readonly record struct NumpyType(string Text, DType? Type, bool IsBigEndian)
{
    /// <summary>Reads one.</summary>
    /// <exception cref="InvalidCheckpointException">It is no type.</exception>
    public static NumpyType Parse(object value, TorchRecord records, TorchPath path)
    {
        if (value is not PickleObject record || records.RoleOf(record.Global) != TorchRole.ArrayType || record.Arguments.Items is not [string code, ..])
        {
            throw records.Invalid(path, "an array of NumPy has no dtype");
        }

        var order = record.State is PickleTuple { Items: [_, string given, ..] } ? given : "|";
        var text = order is "<" or ">" ? order + code : code;
        DType? type = code switch
        {
            "b1" => DType.BOOL,
            "i1" => DType.I8,
            "i2" => DType.I16,
            "i4" => DType.I32,
            "i8" => DType.I64,
            "u1" => DType.U8,
            "u2" => DType.U16,
            "u4" => DType.U32,
            "u8" => DType.U64,
            "f2" => DType.F16,
            "f4" => DType.F32,
            "f8" => DType.F64,
            "c8" => DType.C64,
            "c16" => DType.C128,
            _ => null,
        };
        return new NumpyType(text, type, order == ">");
    }

    /// <summary>Whether a value is the type of arrays of Python objects, which are whatever their pickle makes of them.</summary>
    public static bool IsOfObjects(object value, TorchRecord records) =>
        value is PickleObject { Arguments.Items: [string code, ..] } record && records.RoleOf(record.Global) == TorchRole.ArrayType
        && (code.StartsWith('O') || code is "object" or "|O");

    /// <summary>The number or text that the bytes are; null where they are too many or too few.</summary>
    public object? Scalar(byte[] bytes)
    {
        if (Type is not { } type)
        {
            // Text has four bytes a character; dates and structures stay the bytes that they are.
            return Text.TrimStart('<', '>').StartsWith('U') && bytes.Length % 4 == 0
                ? new UTF32Encoding(IsBigEndian, byteOrderMark: false).GetString(bytes).TrimEnd('\0')
                : bytes;
        }

        if (bytes.Length != type.BlockSize)
        {
            return null;
        }

        var number = bytes.ToArray().AsSpan();
        if (IsBigEndian)
        {
            ByteOrder.Swap(number, type.Kind == DTypeKind.Complex ? type.BlockSize / 2 : type.BlockSize);
        }

        return type switch
        {
            DType.BOOL => number[0] != 0,
            DType.I8 => (long)(sbyte)number[0],
            DType.U8 => (long)number[0],
            DType.I16 => (long)BinaryPrimitives.ReadInt16LittleEndian(number),
            DType.U16 => (long)BinaryPrimitives.ReadUInt16LittleEndian(number),
            DType.I32 => (long)BinaryPrimitives.ReadInt32LittleEndian(number),
            DType.U32 => (long)BinaryPrimitives.ReadUInt32LittleEndian(number),
            DType.I64 => BinaryPrimitives.ReadInt64LittleEndian(number),
            DType.U64 => BinaryPrimitives.ReadUInt64LittleEndian(number) is var large and > long.MaxValue ? (BigInteger)large : (object)(long)BinaryPrimitives.ReadUInt64LittleEndian(number),
            DType.F16 => (float)BinaryPrimitives.ReadHalfLittleEndian(number),
            DType.F32 => BinaryPrimitives.ReadSingleLittleEndian(number),
            DType.F64 => BinaryPrimitives.ReadDoubleLittleEndian(number),
            DType.C64 => new Complex(BinaryPrimitives.ReadSingleLittleEndian(number), BinaryPrimitives.ReadSingleLittleEndian(number[4..])),
            _ => new Complex(BinaryPrimitives.ReadDoubleLittleEndian(number), BinaryPrimitives.ReadDoubleLittleEndian(number[8..])),
        };
    }
}
