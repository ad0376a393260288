using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>F32 values behind a pointer that the caller keeps pinned.</summary>
internal readonly unsafe struct F32PointerSink(byte* destination) : IValueSink
{
    private readonly byte* _destination = destination;

    public static bool TakesDouble => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) => Unsafe.WriteUnaligned(_destination + (index * 4), bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth)
    {
        WriteSingle(index, first);
        WriteSingle(index + 1, second);
        WriteSingle(index + 2, third);
        WriteSingle(index + 3, fourth);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => WriteSingle(index, FloatBits.DoubleToSingle(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth)
    {
        WriteDouble(index, first);
        WriteDouble(index + 1, second);
        WriteDouble(index + 2, third);
        WriteDouble(index + 3, fourth);
    }
}

/// <summary>F16 values behind a pointer that the caller keeps pinned.</summary>
internal readonly unsafe struct F16PointerSink(byte* destination) : IValueSink
{
    private readonly byte* _destination = destination;

    public static bool TakesDouble => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) =>
        Unsafe.WriteUnaligned(_destination + (index * 2), (ushort)FloatBits.SingleToHalf(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth)
    {
        WriteSingle(index, first);
        WriteSingle(index + 1, second);
        WriteSingle(index + 2, third);
        WriteSingle(index + 3, fourth);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => WriteSingle(index, FloatBits.DoubleToSingle(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth)
    {
        WriteDouble(index, first);
        WriteDouble(index + 1, second);
        WriteDouble(index + 2, third);
        WriteDouble(index + 3, fourth);
    }
}

/// <summary>BF16 values behind a pointer that the caller keeps pinned.</summary>
internal readonly unsafe struct BF16PointerSink(byte* destination) : IValueSink
{
    private readonly byte* _destination = destination;

    public static bool TakesDouble => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) =>
        Unsafe.WriteUnaligned(_destination + (index * 2), (ushort)FloatBits.SingleToBFloat16(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth)
    {
        WriteSingle(index, first);
        WriteSingle(index + 1, second);
        WriteSingle(index + 2, third);
        WriteSingle(index + 3, fourth);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => WriteSingle(index, FloatBits.DoubleToSingle(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth)
    {
        WriteDouble(index, first);
        WriteDouble(index + 1, second);
        WriteDouble(index + 2, third);
        WriteDouble(index + 3, fourth);
    }
}

/// <summary>F64 values behind a pointer that the caller keeps pinned.</summary>
internal readonly unsafe struct F64PointerSink(byte* destination) : IValueSink
{
    private readonly byte* _destination = destination;

    public static bool TakesDouble => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) => WriteDouble(index, FloatBits.SingleToDouble(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth)
    {
        WriteSingle(index, first);
        WriteSingle(index + 1, second);
        WriteSingle(index + 2, third);
        WriteSingle(index + 3, fourth);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => Unsafe.WriteUnaligned(_destination + (index * 8), bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth)
    {
        WriteDouble(index, first);
        WriteDouble(index + 1, second);
        WriteDouble(index + 2, third);
        WriteDouble(index + 3, fourth);
    }
}

/// <summary>Values of an 8-bit float type behind a pointer that the caller keeps pinned.</summary>
internal readonly unsafe struct Float8PointerSink<TFloat>(byte* destination) : IValueSink
    where TFloat : struct, IFloat8Target
{
    private readonly byte* _destination = destination;

    public static bool TakesDouble => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) => _destination[index] = (byte)TFloat.FromSingle(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth)
    {
        WriteSingle(index, first);
        WriteSingle(index + 1, second);
        WriteSingle(index + 2, third);
        WriteSingle(index + 3, fourth);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => WriteSingle(index, FloatBits.DoubleToSingle(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth)
    {
        WriteDouble(index, first);
        WriteDouble(index + 1, second);
        WriteDouble(index + 2, third);
        WriteDouble(index + 3, fourth);
    }
}
