using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>8-bit float E5M2: bias 15, with infinities, as the upper half of an F16.</summary>
public readonly struct F8E5M2 : IFloat8Target
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat8.ToSingle(int stored) => FloatBits.F8E5M2ToSingle(stored);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat8Target.FromSingle(int value) => FloatBits.SingleToF8E5M2(value);
}

/// <summary>What the vector paths need to know of F8_E5M2.</summary>
internal readonly unsafe struct F8E5M2Layout : IFloat8Layout
{
    public static int MantissaBits => 2;

    public static int Bias => 15;

    public static bool HasInfinity => true;

    public static bool HasNegativeZero => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> LoadBrain(byte* source) => BrainTables<F8E5M2>.Load(source);
}
