using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A number as the bytes of one element.</summary>
internal static class ElementValue
{
    /// <summary>The bytes of an element, or of the smallest group that fills whole bytes, with a value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The type does not hold the value.</exception>
    public static byte[] Encode(DType dtype, double value)
    {
        var bytes = new byte[dtype.BlockSize];
        switch (dtype)
        {
            case DType.BOOL:
                // As in PyTorch, NaN is not zero.
                bytes[0] = value == 0 ? (byte)0 : (byte)1;
                break;
            case var _ when dtype.Kind == DTypeKind.Integer:
                WriteInteger(bytes, dtype, value);
                break;
            case var _ when Component(dtype) is { } component:
                Codecs.Of(DType.F64).Decode(MemoryMarshal.AsBytes(new ReadOnlySpan<double>(in value)), bytes.AsSpan(0, component.BlockSize), component);
                break;
            default:
                FindGroup(bytes, dtype, value);
                break;
        }

        return bytes;
    }

    // The type that a real value is rounded to; a complex number's other component stays zero.
    private static DType? Component(DType dtype) => dtype switch
    {
        DType.C32 => DType.F16,
        DType.C64 => DType.F32,
        DType.C128 => DType.F64,
        _ => Codecs.Targets.Contains(dtype) ? dtype : null,
    };

    private static void WriteInteger(Span<byte> bytes, DType dtype, double value)
    {
        var bits = bytes.Length * 8;
        var isSigned = dtype is DType.I8 or DType.I16 or DType.I32 or DType.I64;
        var least = isSigned ? -Math.ScaleB(1, bits - 1) : 0;
        var bound = Math.ScaleB(1, isSigned ? bits - 1 : bits);
        var whole = Math.Truncate(value);
        // Written so that NaN is refused.
        if (!(whole >= least && whole < bound))
        {
            throw new ArgumentOutOfRangeException(nameof(value), value, $"{dtype.Name} holds integers from {least} to below {bound}.");
        }

        var word = isSigned ? (ulong)(long)whole : (ulong)whole;
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(word >> (8 * i));
        }
    }

    // Nothing is rounded to F4, F6 and F8_E8M0, whose numbers few tensors hold alone: a value must be one of theirs. Blocks of
    // zeros decode to zeros in every type, and other values depend on how they are quantised.
    private static void FindGroup(Span<byte> bytes, DType dtype, double value)
    {
        var width = dtype.IsBlock ? 0 : dtype.BlockSize * 8 / dtype.BlockLength;
        Span<byte> decoded = stackalloc byte[8 * 256];
        decoded = decoded[..(8 * dtype.BlockLength)];
        for (var code = 0UL; code < 1UL << width; code++)
        {
            for (var bit = 0; bit < bytes.Length * 8 && width > 0; bit++)
            {
                var set = (byte)(((code >> (bit % width)) & 1) << (bit % 8));
                bytes[bit / 8] = (byte)((bytes[bit / 8] & ~(1 << (bit % 8))) | set);
            }

            Codecs.Of(dtype).Decode(bytes, decoded, DType.F64);
            if (MemoryMarshal.Read<double>(decoded).Equals(value))
            {
                return;
            }
        }

        throw new ArgumentOutOfRangeException(nameof(value), value, $"{dtype.Name} {(dtype.IsBlock ? "is filled with 0 only" : "does not hold this value")}.");
    }
}
