using System.Collections.Frozen;

namespace IlgpuLoader.Formats.Torch;

/// <summary>A dtype of PyTorch and what its elements are here.</summary>
/// <param name="Name">The name behind <c>torch.</c>, such as <c>float32</c>.</param>
/// <param name="Type">The type of the stored elements.</param>
/// <param name="IsExact">
/// Whether <paramref name="Type"/> says all; not of quantised types and of those that this version has no name for, which
/// come as the integers that they are stored in.
/// </param>
/// <param name="PerByte">How many elements share a byte; 1 where they share none.</param>
internal sealed record TorchDType(string Name, DType Type, bool IsExact = true, int PerByte = 1)
{
    /// <summary>The type of storages that have none: bytes.</summary>
    public static TorchDType Byte => ByName["uint8"];

    /// <summary>All dtypes, by name (torch/csrc/utils/tensor_dtypes.cpp, c10/core/ScalarType.h).</summary>
    public static FrozenDictionary<string, TorchDType> ByName { get; } = All().ToFrozenDictionary(entry => entry.Key, entry => entry.Value);

    /// <summary>
    /// The dtypes of storage classes, by name, such as <c>FloatStorage</c>; null of those that have none (<c>UntypedStorage</c>).
    /// </summary>
    public static FrozenDictionary<string, TorchDType?> ByStorage { get; } = new Dictionary<string, TorchDType?>
    {
        ["DoubleStorage"] = ByName["float64"],
        ["FloatStorage"] = ByName["float32"],
        ["HalfStorage"] = ByName["float16"],
        ["BFloat16Storage"] = ByName["bfloat16"],
        ["LongStorage"] = ByName["int64"],
        ["IntStorage"] = ByName["int32"],
        ["ShortStorage"] = ByName["int16"],
        ["CharStorage"] = ByName["int8"],
        ["ByteStorage"] = ByName["uint8"],
        ["BoolStorage"] = ByName["bool"],
        ["ComplexFloatStorage"] = ByName["complex64"],
        ["ComplexDoubleStorage"] = ByName["complex128"],
        ["QInt8Storage"] = ByName["qint8"],
        ["QUInt8Storage"] = ByName["quint8"],
        ["QInt32Storage"] = ByName["qint32"],
        ["QUInt4x2Storage"] = ByName["quint4x2"],
        ["QUInt2x4Storage"] = ByName["quint2x4"],
        ["UntypedStorage"] = null,
    }.ToFrozenDictionary();

    /// <summary>The bytes of one element, or of those that share a byte.</summary>
    public int Size => Type.BlockSize;

    /// <summary>The bytes of one number in an element: what a change of the byte order turns round.</summary>
    public int NumberSize => Type.Kind == DTypeKind.Complex ? Size / 2 : Size;

    /// <summary>The name as Python prints it.</summary>
    public override string ToString() => $"torch.{Name}";

    private static IEnumerable<KeyValuePair<string, TorchDType>> All()
    {
        (string Names, DType Type)[] exact =
        [
            ("float64 double", DType.F64), ("float32 float", DType.F32), ("float16 half", DType.F16), ("bfloat16", DType.BF16),
            ("int64 long", DType.I64), ("int32 int", DType.I32), ("int16 short", DType.I16), ("int8", DType.I8), ("uint8", DType.U8),
            ("uint16", DType.U16), ("uint32", DType.U32), ("uint64", DType.U64), ("bool", DType.BOOL),
            ("complex32 chalf", DType.C32), ("complex64 cfloat", DType.C64), ("complex128 cdouble", DType.C128),
            ("float8_e4m3fn", DType.F8_E4M3), ("float8_e5m2", DType.F8_E5M2), ("float8_e8m0fnu", DType.F8_E8M0),
            ("float8_e4m3fnuz", DType.F8_E4M3FNUZ), ("float8_e5m2fnuz", DType.F8_E5M2FNUZ),
        ];
        foreach (var (names, type) in exact)
        {
            var spellings = names.Split(' ');
            var dtype = new TorchDType(spellings[0], type);
            foreach (var spelling in spellings)
            {
                yield return KeyValuePair.Create(spelling, dtype);
            }
        }

        // Types without arithmetic of their own take whole elements of their container. PyTorch counts two F4 values as one
        // element, which no shape here can say.
        TorchDType[] inexact =
        [
            new("qint8", DType.I8, IsExact: false), new("quint8", DType.U8, IsExact: false), new("qint32", DType.I32, IsExact: false),
            new("quint4x2", DType.U8, IsExact: false, PerByte: 2), new("quint2x4", DType.U8, IsExact: false, PerByte: 4),
            new("bits1x8", DType.U8, IsExact: false), new("bits2x4", DType.U8, IsExact: false), new("bits4x2", DType.U8, IsExact: false),
            new("bits8", DType.U8, IsExact: false), new("bits16", DType.U16, IsExact: false),
            new("float4_e2m1fn_x2", DType.U8, IsExact: false),
            .. Enumerable.Range(1, 7).Select(bits => new TorchDType($"uint{bits}", DType.U8, IsExact: false)),
            .. Enumerable.Range(1, 7).Select(bits => new TorchDType($"int{bits}", DType.I8, IsExact: false)),
        ];
        foreach (var dtype in inexact)
        {
            yield return KeyValuePair.Create(dtype.Name, dtype);
        }
    }
}
