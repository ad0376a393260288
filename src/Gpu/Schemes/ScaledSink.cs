using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Takes a zero point away from each value, multiplies it by a scale, and passes it on: (value - zero) * scale, each operation rounded to float32.</summary>
/// <param name="sink">Where the results go.</param>
/// <param name="scale">The bits of a float32.</param>
/// <param name="zero">The zero point, an integer of at most 9 bits.</param>
internal readonly struct ScaledSink<TSink>(TSink sink, int scale, int zero) : IValueSink
    where TSink : struct, IValueSink
{
    private readonly TSink _sink = sink;
    private readonly int _scale = scale;
    private readonly int _zero = zero;

    public static bool TakesDouble => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) => _sink.WriteSingle(index, Scaled(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth) =>
        _sink.WriteFour(index, Scaled(first), Scaled(second), Scaled(third), Scaled(fourth));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => WriteSingle(index, FloatBits.DoubleToSingle(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth) => WriteFour(
        index, FloatBits.DoubleToSingle(first), FloatBits.DoubleToSingle(second), FloatBits.DoubleToSingle(third), FloatBits.DoubleToSingle(fourth));

    // A difference before the product, so that nothing can be fused.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Scaled(int bits) => ScaledValue.Of(bits, _scale, _zero);
}
