using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>The type of a metadata value, with the number that the file gives it (ggml/include/gguf.h, gguf_type).</summary>
[SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "The specification's own spelling.")]
public enum GgufValueType
{
    /// <summary>Unsigned 8-bit integer, a <see cref="byte"/>.</summary>
    UINT8 = 0,
    /// <summary>Signed 8-bit integer, an <see cref="sbyte"/>.</summary>
    INT8 = 1,
    /// <summary>Unsigned 16-bit integer, a <see cref="ushort"/>.</summary>
    UINT16 = 2,
    /// <summary>Signed 16-bit integer, a <see cref="short"/>.</summary>
    INT16 = 3,
    /// <summary>Unsigned 32-bit integer, a <see cref="uint"/>.</summary>
    UINT32 = 4,
    /// <summary>Signed 32-bit integer, an <see cref="int"/>.</summary>
    INT32 = 5,
    /// <summary>binary32, a <see cref="float"/>.</summary>
    FLOAT32 = 6,
    /// <summary>One byte, a <see cref="bool"/>: everything but 0 is true, as ggml reads it.</summary>
    BOOL = 7,
    /// <summary>UTF-8 with its length before it, a <see cref="string"/>.</summary>
    STRING = 8,
    /// <summary>Values of one type, a <see cref="GgufArray"/>.</summary>
    ARRAY = 9,
    /// <summary>Unsigned 64-bit integer, a <see cref="ulong"/>.</summary>
    UINT64 = 10,
    /// <summary>Signed 64-bit integer, a <see cref="long"/>.</summary>
    INT64 = 11,
    /// <summary>binary64, a <see cref="double"/>.</summary>
    FLOAT64 = 12,
}
