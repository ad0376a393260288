using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>8-bit float E4M3FN: bias 7, no infinity, the largest code of either sign is NaN.</summary>
public readonly struct F8E4M3 : IFloat8Target
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat8.ToSingle(int stored) => FloatBits.F8E4M3ToSingle(stored);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat8Target.FromSingle(int value) => FloatBits.SingleToF8E4M3(value);
}

/// <summary>What the vector paths need to know of F8_E4M3.</summary>
internal readonly unsafe struct F8E4M3Layout : IFloat8Layout
{
    public static int MantissaBits => 3;

    public static int Bias => 7;

    public static bool HasInfinity => false;

    public static bool HasNegativeZero => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> LoadBrain(byte* source) => BrainTables<F8E4M3>.Load(source);
}
