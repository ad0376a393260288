using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Stores integers, each rounded once: to a double where the sink keeps one, else to a float32. For unit bodies.</summary>
internal static class SignedValues
{
    /// <summary>Stores one integer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TSink>(TSink sink, long index, long value)
        where TSink : struct, IValueSink
    {
        if (TSink.TakesDouble)
        {
            sink.WriteDouble(index, FloatBits.SignedToDouble(value));
        }
        else
        {
            sink.WriteSingle(index, FloatBits.SignedToSingle(value));
        }
    }

    /// <summary>Stores four neighbours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteFour<TSink>(TSink sink, long index, long first, long second, long third, long fourth)
        where TSink : struct, IValueSink
    {
        if (TSink.TakesDouble)
        {
            sink.WriteFourDoubles(
                index,
                FloatBits.SignedToDouble(first),
                FloatBits.SignedToDouble(second),
                FloatBits.SignedToDouble(third),
                FloatBits.SignedToDouble(fourth));
        }
        else
        {
            sink.WriteFour(
                index,
                FloatBits.SignedToSingle(first),
                FloatBits.SignedToSingle(second),
                FloatBits.SignedToSingle(third),
                FloatBits.SignedToSingle(fourth));
        }
    }
}
