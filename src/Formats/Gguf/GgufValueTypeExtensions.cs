namespace IlgpuLoader.Formats.Gguf;

/// <summary>Sizes and CLR types of <see cref="GgufValueType"/>. Safe for any thread.</summary>
public static class GgufValueTypeExtensions
{
    extension(GgufValueType type)
    {
        /// <summary>The bytes of one value; 0 for strings and arrays, whose values differ in size.</summary>
        public int Size => type switch
        {
            GgufValueType.UINT8 or GgufValueType.INT8 or GgufValueType.BOOL => 1,
            GgufValueType.UINT16 or GgufValueType.INT16 => 2,
            GgufValueType.UINT32 or GgufValueType.INT32 or GgufValueType.FLOAT32 => 4,
            GgufValueType.UINT64 or GgufValueType.INT64 or GgufValueType.FLOAT64 => 8,
            _ => 0,
        };

        /// <summary>Whether this is one of the thirteen types that there are.</summary>
        public bool IsKnown => type is >= GgufValueType.UINT8 and <= GgufValueType.FLOAT64;

        /// <summary>The type that stores values of a CLR type; null where there is none.</summary>
        public static GgufValueType? Of(Type clrType)
        {
            ArgumentNullException.ThrowIfNull(clrType);
            return clrType == typeof(GgufArray) ? GgufValueType.ARRAY
                : clrType.IsEnum ? null
                : Type.GetTypeCode(clrType) switch
                {
                    TypeCode.Byte => GgufValueType.UINT8,
                    TypeCode.SByte => GgufValueType.INT8,
                    TypeCode.UInt16 => GgufValueType.UINT16,
                    TypeCode.Int16 => GgufValueType.INT16,
                    TypeCode.UInt32 => GgufValueType.UINT32,
                    TypeCode.Int32 => GgufValueType.INT32,
                    TypeCode.UInt64 => GgufValueType.UINT64,
                    TypeCode.Int64 => GgufValueType.INT64,
                    TypeCode.Single => GgufValueType.FLOAT32,
                    TypeCode.Double => GgufValueType.FLOAT64,
                    TypeCode.Boolean => GgufValueType.BOOL,
                    TypeCode.String => GgufValueType.STRING,
                    _ => null,
                };
        }
    }
}
