using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Turns stored elements of one type into numbers on the host. Holds no state; safe for any thread.</summary>
internal readonly struct ValueDecoder
{
    private readonly Codec _codec;

    private ValueDecoder(Codec codec) => _codec = codec;

    /// <summary>The stored type.</summary>
    public DType DType => _codec.DType;

    /// <summary>Numbers of one element: 2 for complex types, real part first.</summary>
    public int ValuesPerElement => _codec.ValuesPerElement;

    /// <summary>The type of one number: of a complex type, the type of a part.</summary>
    public DType ValueType => DType switch
    {
        DType.C32 => DType.F16,
        DType.C64 => DType.F32,
        DType.C128 => DType.F64,
        _ => DType,
    };

    /// <summary>Whether a double does not hold every value, so that integers are compared and shown as such.</summary>
    public bool IsWideInteger => DType is DType.I64 or DType.U64;

    /// <summary>Whether F32 holds every value. Block types are defined by what they decode to in F32.</summary>
    public bool FitsSingle => DType is not (DType.F64 or DType.C128 or DType.I32 or DType.U32 or DType.I64 or DType.U64);

    /// <summary>The decoder of a type.</summary>
    public static ValueDecoder Of(DType dtype) => new(Codecs.Of(dtype));

    /// <summary>Decodes whole elements or blocks to floats; exact where <see cref="FitsSingle"/>.</summary>
    /// <returns>The part of <paramref name="buffer"/> that holds the values.</returns>
    public Span<float> DecodeSingle(ReadOnlySpan<byte> stored, Span<float> buffer)
    {
        var values = buffer[..CountValues(stored)];
        _codec.Decode(stored, MemoryMarshal.AsBytes(values), DType.F32);
        return values;
    }

    /// <summary>Decodes whole elements or blocks to doubles; exact unless <see cref="IsWideInteger"/>.</summary>
    /// <returns>The part of <paramref name="buffer"/> that holds the values.</returns>
    public Span<double> DecodeDouble(ReadOnlySpan<byte> stored, Span<double> buffer)
    {
        var values = buffer[..CountValues(stored)];
        _codec.Decode(stored, MemoryMarshal.AsBytes(values), DType.F64);
        return values;
    }

    /// <summary>The exact integers of I64 or U64, as they are stored.</summary>
    public Int128 WideInteger(ReadOnlySpan<byte> stored, int index)
    {
        var bits = MemoryMarshal.Read<ulong>(stored[(index * sizeof(ulong))..]);
        return DType == DType.I64 ? (long)bits : bits;
    }

    private int CountValues(ReadOnlySpan<byte> stored) =>
        stored.Length / DType.BlockSize * DType.BlockLength * ValuesPerElement;
}
