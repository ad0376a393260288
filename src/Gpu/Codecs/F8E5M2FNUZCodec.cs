using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>8-bit float E5M2FNUZ: bias 16, no infinity, no negative zero; 80 is the only NaN.</summary>
public readonly struct F8E5M2FNUZ : IFloat8Target
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat8.ToSingle(int stored) => FloatBits.F8E5M2FNUZToSingle(stored);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int IFloat8Target.FromSingle(int value) => FloatBits.SingleToF8E5M2FNUZ(value);
}

/// <summary>What the vector paths need to know of F8_E5M2FNUZ.</summary>
internal readonly unsafe struct F8E5M2FNUZLayout : IFloat8Layout
{
    public static int MantissaBits => 2;

    public static int Bias => 16;

    public static bool HasInfinity => false;

    public static bool HasNegativeZero => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> LoadBrain(byte* source)
    {
        // The table gives 80 the zero of its magnitude: a negative zero, which stands for nothing else.
        var brain = BrainTables<F8E5M2FNUZ>.Load(source);
        return Vector512.ConditionalSelect(
            Vector512.Equals(brain, Vector512.Create((ushort)0x8000)), Vector512.Create((ushort)0x7FC0), brain);
    }
}
