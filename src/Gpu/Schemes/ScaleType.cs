using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>How scales are stored, chosen when a body runs: there are too few of them to compile a kernel for each type.</summary>
internal readonly struct ScaleType
{
    private readonly int _kind;

    private ScaleType(int kind) => _kind = kind;

    /// <summary>The type of stored scales.</summary>
    /// <exception cref="ArgumentException">There are no such scales.</exception>
    public static ScaleType Of(DType dtype) => dtype switch
    {
        DType.F32 => new ScaleType(0),
        DType.F16 => new ScaleType(1),
        DType.BF16 => new ScaleType(2),
        _ => throw new ArgumentException($"Scales are F32, F16 or BF16, and these are {dtype.Name}.", nameof(dtype)),
    };

    /// <summary>Reads a scale.</summary>
    /// <param name="reader">The scales.</param>
    /// <param name="index">Which.</param>
    /// <returns>The bits of a float32.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Read<TReader>(TReader reader, long index)
        where TReader : struct, IByteReader
    {
        if (_kind == 0)
        {
            return reader.ReadInt32(index * 4);
        }

        var bits = reader.ReadUInt16(index * 2);
        return _kind == 1 ? FloatBits.HalfToSingle(bits) : FloatBits.BFloat16ToSingle(bits);
    }
}
