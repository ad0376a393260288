using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Values kept as F32.</summary>
internal readonly struct F32Packer : IPacker<FourWords, int>
{
    public static bool TakesDouble => false;

    public static int SwizzleShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWords Pack(int first, int second, int third, int fourth) => new(first, second, third, fourth);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourWords PackDoubles(long first, long second, long third, long fourth) => new(
        FloatBits.DoubleToSingle(first), FloatBits.DoubleToSingle(second), FloatBits.DoubleToSingle(third), FloatBits.DoubleToSingle(fourth));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Narrow(int bits) => bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int NarrowDouble(long bits) => FloatBits.DoubleToSingle(bits);
}

/// <summary>Values kept as F64.</summary>
internal readonly struct F64Packer : IPacker<FourLongs, long>
{
    public static bool TakesDouble => true;

    public static int SwizzleShift => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourLongs Pack(int first, int second, int third, int fourth) => new(
        FloatBits.SingleToDouble(first), FloatBits.SingleToDouble(second), FloatBits.SingleToDouble(third), FloatBits.SingleToDouble(fourth));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourLongs PackDoubles(long first, long second, long third, long fourth) => new(first, second, third, fourth);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Narrow(int bits) => FloatBits.SingleToDouble(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long NarrowDouble(long bits) => bits;
}

/// <summary>How a float of 16 bits comes from an F32.</summary>
internal interface IHalfTarget
{
    /// <summary>The nearest value to an F32, given as its bits.</summary>
    /// <returns>The bits, zero-extended.</returns>
    static abstract int FromSingle(int value);
}

/// <summary>F16.</summary>
internal readonly struct F16Target : IHalfTarget
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FromSingle(int value) => FloatBits.SingleToHalf(value);
}

/// <summary>BF16.</summary>
internal readonly struct BF16Target : IHalfTarget
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FromSingle(int value) => FloatBits.SingleToBFloat16(value);
}

/// <summary>Values narrowed to 16 bits.</summary>
/// <typeparam name="THalf">Which.</typeparam>
internal readonly struct HalfPacker<THalf> : IPacker<TwoWords, short>
    where THalf : struct, IHalfTarget
{
    public static bool TakesDouble => false;

    public static int SwizzleShift => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TwoWords Pack(int first, int second, int third, int fourth) => new(
        THalf.FromSingle(first) | (THalf.FromSingle(second) << 16), THalf.FromSingle(third) | (THalf.FromSingle(fourth) << 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TwoWords PackDoubles(long first, long second, long third, long fourth) => Pack(
        FloatBits.DoubleToSingle(first), FloatBits.DoubleToSingle(second), FloatBits.DoubleToSingle(third), FloatBits.DoubleToSingle(fourth));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static short Narrow(int bits) => (short)THalf.FromSingle(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static short NarrowDouble(long bits) => Narrow(FloatBits.DoubleToSingle(bits));
}

/// <summary>Values narrowed to 8 bits.</summary>
/// <typeparam name="TFloat">Which.</typeparam>
internal readonly struct Float8Packer<TFloat> : IPacker<int, byte>
    where TFloat : struct, IFloat8Target
{
    public static bool TakesDouble => false;

    public static int SwizzleShift => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Pack(int first, int second, int third, int fourth) =>
        TFloat.FromSingle(first) | (TFloat.FromSingle(second) << 8) | (TFloat.FromSingle(third) << 16) | (TFloat.FromSingle(fourth) << 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int PackDoubles(long first, long second, long third, long fourth) => Pack(
        FloatBits.DoubleToSingle(first), FloatBits.DoubleToSingle(second), FloatBits.DoubleToSingle(third), FloatBits.DoubleToSingle(fourth));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte Narrow(int bits) => (byte)TFloat.FromSingle(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte NarrowDouble(long bits) => Narrow(FloatBits.DoubleToSingle(bits));
}
